/** Rates: what conversions on each device came to, kept for the forecasts of the next ones. */
import type { Memento } from 'vscode';
import type { JobReport } from '../../engine/job/report';
import type { Rounding } from '../../engine/plan/recipe';
import { rateOf, sweepsSentence, type Rate } from './forecast';

/** With the model by which factors are counted, and the words of a sentence: others make them others. */
const RATE = 'fp8.rate.2:';
const SWEEPS = 'fp8.sweeps.2:';

export class Rates {
  constructor(private readonly memento: Memento) {}

  of(device: string, rounding: Rounding): Rate | undefined {
    const stored = this.memento.get<Partial<Rate>>(`${RATE}${device}:${rounding}`);
    const { timeFactor, overheadSeconds, memoryFactor, samplesFactor } = stored ?? {};
    if (!isPositive(timeFactor) || !isPositive(memoryFactor) || typeof overheadSeconds !== 'number') return undefined;
    return { timeFactor, overheadSeconds, memoryFactor, ...(isPositive(samplesFactor) ? { samplesFactor } : {}) };
  }

  lastSweeps(rounding: Rounding): string | undefined {
    const stored = this.memento.get<unknown>(SWEEPS + rounding);
    return typeof stored === 'string' ? stored : undefined;
  }

  async learn(report: JobReport): Promise<void> {
    const rate = rateOf(report);
    const sweeps = sweepsSentence(report);
    const { rounding } = report.recipe;
    if (rate !== undefined) {
      const key = `${RATE}${report.summary.device}:${rounding}`;
      // One that sent no samples says nothing of how fast they go.
      const samples = this.of(report.summary.device, rounding)?.samplesFactor;
      await this.memento.update(key, { ...(samples === undefined ? {} : { samplesFactor: samples }), ...rate });
    }
    if (sweeps !== undefined) await this.memento.update(SWEEPS + rounding, sweeps);
  }
}

function isPositive(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0;
}
