/** estimate: how much work a tensor is, so that order and progress weigh a matrix by what it costs and not by its bytes alone. Pure. */
import type { PlannedTensor } from '../plan/plan';
import type { Recipe, Rounding } from '../plan/recipe';
import type { StatisticsChoice } from '../plan/statistics';
import type { QuantizerDevice } from './quantizer';

export interface Work {
  /** Read and written. */
  readonly bytes: number;
  readonly multiplyAdds: number;
}

interface SizedQuantization {
  readonly rows: number;
  readonly columns: number;
  readonly rounding: Rounding;
  /** Only for learned rounding. */
  readonly statistics?: Pick<StatisticsChoice, 'inputs' | 'outputs' | 'beside'>;
}

/** What the estimate looks at of a tensor. */
export interface SizedTensor {
  readonly action: PlannedTensor['action'];
  readonly source: Pick<PlannedTensor['source'], 'begin' | 'end'>;
  readonly quantization?: SizedQuantization;
}

export function workOf(tensor: SizedTensor, recipe: Recipe): Work {
  const sourceBytes = tensor.source.end - tensor.source.begin;
  switch (tensor.action) {
    case 'remove':
      return { bytes: 0, multiplyAdds: 0 };
    case 'keep':
      return { bytes: 2 * sourceBytes, multiplyAdds: 0 };
    case 'quantize': {
      const quantization = tensor.quantization ?? { rows: 0, columns: 0, rounding: recipe.rounding };
      const { rows, columns } = quantization;
      return { bytes: sourceBytes + rows * columns, multiplyAdds: multiplyAddsOf(quantization, recipe) };
    }
  }
}

/**
 * Of sending samples through the layers that the plan wants to know the inputs of: a product with each of them, for which it is read, and its
 * inputs as two bytes each, which are written and read.
 */
export function propagationWork(tensors: readonly SizedTensor[], { calibSamples }: Recipe): Work {
  let bytes = 0;
  let multiplyAdds = 0;
  for (const { source, quantization } of tensors) {
    const statistics = quantization?.statistics;
    const isReached = statistics?.inputs === 'propagated' || statistics?.beside === 'propagated';
    if (quantization === undefined || !isReached) continue;
    bytes += source.end - source.begin + 4 * calibSamples * quantization.columns;
    multiplyAdds += calibSamples * quantization.rows * quantization.columns;
  }
  return { bytes, multiplyAdds };
}

/**
 * What steering by outputs costs besides: products with the statistics of both sides in every sweep, and a chain of steps that keeps no core busy.
 * Measured as 5 to 9 on a GPU and 3 to 6 on a CPU (docs/performance.md, docs/quality.md).
 */
const BOTH_SIDES = 6;

/**
 * Full rank: Gram ½, feedback ½, E·H 1 and two sweeps 2 of M·N², and N³/3 for the factorisation. Rank k: a subspace iteration
 * and its products with tall matrices, about 12·M·N·k.
 */
function multiplyAddsOf({ rows, columns, rounding, statistics }: SizedQuantization, { topK, numIter, calibSamples }: Recipe): number {
  const entries = rows * columns;
  switch (rounding) {
    case 'nearest':
      return 4 * entries;
    case 'learned':
      return (
        (topK === 'full' || topK >= columns ? 4 * entries * columns + columns ** 3 / 3 : 12 * entries * topK) +
        ((statistics?.inputs ?? 'gram') === 'gram' ? 0 : calibSamples * columns ** 2) +
        ((statistics?.outputs ?? 'none') === 'none' ? 0 : BOTH_SIDES * entries * (rows + columns))
      );
    case 'tpec': {
      const rank = topK === 'full' ? Math.min(rows, columns) : Math.min(topK, rows, columns);
      // The comparison with learned rounding, which the report shows, costs as much as learned rounding itself.
      return 12 * entries * rank + numIter * rank ** 2 + 4 * entries * columns + columns ** 3 / 3;
    }
  }
}

/** A rough time, good for comparing tensors with each other on one device; what a user is told comes from measuring. */
export function secondsOf(work: Work, device: QuantizerDevice['kind']): number {
  const multiplyAddsPerSecond = device === 'cuda' ? 5e13 : 1e11;
  return work.bytes / 1e9 + work.multiplyAdds / multiplyAddsPerSecond;
}
