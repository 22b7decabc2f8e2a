/** ReportBuilder: folds what happens to tensors into the report of the job. */
import { encodingText } from '../plan/chooseEncoding';
import type { Action, Plan, PlannedTensor } from '../plan/plan';
import { plannedBytes } from '../plan/plannedBytes';
import type { ComparedResult, QuantizedResult } from './quantizer';
import type { JobReport, JobSummary, TensorReport } from './report';

type Counts = Readonly<Record<Action, number>>;

export function countActions(plan: Plan): Counts {
  const counts = { quantize: 0, keep: 0, remove: 0 };
  for (const { action } of plan.tensors) counts[action] += 1;
  return counts;
}

/** What only the job as a whole knows. */
export type JobFacts = Pick<JobReport, 'tool' | 'source' | 'output' | 'model' | 'notes'> &
  Pick<
    JobSummary,
    'device' | 'deviceName' | 'threads' | 'bytesIn' | 'bytesOut' | 'peakMemoryBytes' | 'peakDeviceMemoryBytes' | 'deviceBusySeconds'
  > & {
    readonly seconds: Pick<JobSummary['seconds'], 'total' | 'plan' | 'statistics' | 'convert' | 'finish'>;
  };

interface ErrorTerms {
  readonly squaredError: number;
  readonly squaredSource: number;
  readonly objective: number;
  readonly objectiveNearest: number;
}

export class ReportBuilder {
  readonly #tensors = new Map<string, TensorReport>();
  readonly #warnings: string[] = [];
  /** By tensor, since one that is quantized may have to be kept after all. */
  readonly #terms = new Map<string, ErrorTerms>();
  readonly #seconds = { read: 0, compute: 0, write: 0, copy: 0 };

  /** In the order in which they ended. */
  get tensors(): readonly TensorReport[] {
    return [...this.#tensors.values()];
  }

  warn(message: string): void {
    this.#warnings.push(message);
  }

  removed(tensor: PlannedTensor): TensorReport {
    return this.#add({ ...common(tensor), action: 'remove', bytesOut: 0, seconds: 0 });
  }

  kept(tensor: PlannedTensor, seconds: number): TensorReport {
    this.#seconds.copy += seconds;
    this.#terms.delete(tensor.source.name);
    return this.#add({ ...common(tensor), action: 'keep', targetDtype: tensor.source.dtype, bytesOut: plannedBytes(tensor), seconds });
  }

  /** After `kept`. */
  corrected({ source: { name }, correction }: PlannedTensor, change: ComparedResult): void {
    const kept = this.#tensors.get(name);
    if (kept === undefined || correction === undefined) return;
    const { squaredError, squaredSource, maxAbsoluteError } = change;
    const relativeChange = squaredSource === 0 ? undefined : Math.sqrt(squaredError / squaredSource);
    const correctionReport = {
      ...correction,
      ...(relativeChange === undefined ? {} : { relativeChange }),
      largestChange: maxAbsoluteError,
    };
    this.#add({ ...kept, correction: correctionReport });
  }

  quantized(tensor: PlannedTensor, result: QuantizedResult): TensorReport {
    const { targetDtype, encoding, statistics } = requireQuantization(tensor);
    const { relativeError, squaredSource, readSeconds, computeSeconds, writeSeconds, objective, objectiveNearest, objectiveLearned } =
      result;
    this.#terms.set(tensor.source.name, {
      squaredError: relativeError ** 2 * squaredSource,
      squaredSource,
      objective: objective ?? 0,
      objectiveNearest: objectiveNearest ?? 0,
    });
    this.#seconds.read += readSeconds;
    this.#seconds.compute += computeSeconds;
    this.#seconds.write += writeSeconds;
    return this.#add({
      ...common(tensor),
      action: 'quantize',
      targetDtype,
      encoding: encodingText(encoding),
      bytesOut: plannedBytes(tensor),
      ...(result.scale === undefined ? {} : { scale: result.scale }),
      ...(result.scaleRange === undefined ? {} : { scaleRange: result.scaleRange }),
      relativeError,
      squaredSource,
      ...(objective === undefined ? {} : { objective }),
      ...(objectiveNearest === undefined ? {} : { objectiveNearest }),
      ...(objectiveLearned === undefined ? {} : { objectiveLearned }),
      ...(statistics === undefined ? {} : { statistics }),
      sweeps: result.sweeps,
      keptNearest: result.keptNearest,
      changedShare: result.changedShare,
      device: result.device,
      seconds: readSeconds + computeSeconds + writeSeconds,
    });
  }

  build(plan: Plan, facts: JobFacts): JobReport {
    const total = (term: keyof ErrorTerms): number => Array.from(this.#terms.values()).reduce((sum, terms) => sum + terms[term], 0);
    const squaredSource = total('squaredSource');
    const objectiveNearest = total('objectiveNearest');
    const { tool, source, output, model, notes, seconds, ...summary } = facts;
    return {
      tool,
      source,
      output,
      model,
      recipe: plan.recipe,
      summary: {
        ...summary,
        counts: countActions(plan),
        relativeError: squaredSource === 0 ? 0 : Math.sqrt(total('squaredError') / squaredSource),
        ...(objectiveNearest === 0 ? {} : { objectiveRatio: total('objective') / objectiveNearest }),
        seconds: { ...seconds, ...this.#seconds },
      },
      warnings: this.#warnings,
      notes,
      tensors: plan.tensors.flatMap((tensor) => this.#final(tensor)),
    };
  }

  /** What was planned for a kept tensor first may not have come about: a bias is not corrected where its weight had to be kept after all. */
  #final({ source: { name }, correction, reason }: PlannedTensor): readonly TensorReport[] {
    const report = this.#tensors.get(name);
    if (report === undefined) return [];
    return [report.action === 'keep' && correction === undefined ? { ...report, reason } : report];
  }

  #add(report: TensorReport): TensorReport {
    this.#tensors.set(report.name, report);
    return report;
  }
}

function common({ source, reason, stored }: PlannedTensor): Pick<TensorReport, 'name' | 'reason' | 'shape' | 'sourceDtype' | 'bytesIn'> {
  return {
    name: source.name,
    reason,
    shape: source.shape,
    sourceDtype: stored?.weight.codes.dtype ?? source.dtype,
    bytesIn: source.end - source.begin,
  };
}

function requireQuantization(tensor: PlannedTensor): NonNullable<PlannedTensor['quantization']> {
  if (tensor.quantization === undefined) throw new Error(`"${tensor.source.name}" was quantized without being planned so`);
  return tensor.quantization;
}
