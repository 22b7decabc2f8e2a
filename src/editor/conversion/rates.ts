/** Rates: what conversions on each device came to, kept for the forecasts of the next ones. */
import type { Memento } from 'vscode';
import type { JobReport } from '../../engine/job/report';
import type { Rounding } from '../../engine/plan/recipe';
import { rateOf, sweepsSentence, type Rate } from './forecast';

const RATE = 'fp8.rate:';
const SWEEPS = 'fp8.sweeps:';

export class Rates {
  constructor(private readonly memento: Memento) {}

  of(device: string, rounding: Rounding): Rate | undefined {
    const stored = this.memento.get<Partial<Rate>>(`${RATE}${device}:${rounding}`);
    const { timeFactor, overheadSeconds, memoryFactor } = stored ?? {};
    if (!isPositive(timeFactor) || !isPositive(memoryFactor) || typeof overheadSeconds !== 'number') return undefined;
    return { timeFactor, overheadSeconds, memoryFactor };
  }

  lastSweeps(rounding: Rounding): string | undefined {
    const stored = this.memento.get<unknown>(SWEEPS + rounding);
    return typeof stored === 'string' ? stored : undefined;
  }

  async learn(report: JobReport): Promise<void> {
    const rate = rateOf(report);
    const sweeps = sweepsSentence(report);
    const { rounding } = report.recipe;
    if (rate !== undefined) await this.memento.update(`${RATE}${report.summary.device}:${rounding}`, rate);
    if (sweeps !== undefined) await this.memento.update(SWEEPS + rounding, sweeps);
  }
}

function isPositive(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0;
}
