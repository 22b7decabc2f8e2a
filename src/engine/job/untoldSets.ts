/**
 * UntoldSets: weights that a loader joins finish together. Whether one of them stays quantized is known when all of them were read, so none is told of
 * before: every tensor finishes once.
 */
import { fusedWeights } from '../plan/fusedDecisions';
import type { Plan } from '../plan/plan';
import type { TensorReport } from './report';

interface UntoldSet {
  readonly waitingFor: Set<string>;
  readonly reports: TensorReport[];
  state: 'open' | 'kept';
}

export class UntoldSets {
  readonly #byName = new Map<string, UntoldSet>();

  constructor(plan: Plan) {
    const quantized = new Set(plan.tensors.flatMap(({ action, source: { name } }) => (action === 'quantize' ? [name] : [])));
    for (const names of fusedWeights(plan)) {
      const members = names.filter((name) => quantized.has(name));
      const set: UntoldSet = { waitingFor: new Set(members), reports: [], state: 'open' };
      for (const name of members) this.#byName.set(name, set);
    }
  }

  /** The reports that can be told now. */
  quantized(report: TensorReport): readonly TensorReport[] {
    const set = this.#byName.get(report.name);
    if (set === undefined) return [report];
    set.waitingFor.delete(report.name);
    set.reports.push(report);
    return set.waitingFor.size === 0 && set.state === 'open' ? set.reports : [];
  }

  /** One turned out to be one that cannot be quantized: those of its set will be told of as kept. */
  keep(name: string): void {
    const set = this.#byName.get(name);
    if (set !== undefined) set.state = 'kept';
  }
}
