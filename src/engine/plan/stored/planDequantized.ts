/** planDequantized: a quantized model → the plan that writes every number as it would be in a model that is not. Pure. */
import { formatQuantity } from '../../../base/format';
import type { SourceDtype } from '../../dtype';
import { EngineError } from '../../errors';
import type { Header } from '../../safetensors/header';
import { layOut } from '../../safetensors/layout';
import { granularityText } from '../encoding';
import type { Plan, PlannedTensor } from '../plan';
import { plannedBytes } from '../plannedBytes';
import { defaultRecipe } from '../recipe';
import { dequantizedHeader } from './dequantizedHeader';
import { paddingWarnings } from './paddedSize';
import { sourceCodes, type StoredSource } from './sourceCodes';
import type { StoredWeight } from './storedWeight';

/** Throws EngineError: NothingToQuantize where nothing is quantized, InvalidRecipe where something is that is not understood. */
export function planDequantized(header: Header, stored: StoredSource, dtype: SourceDtype): Plan {
  requireReadable(stored);
  if (stored.byName.size === 0)
    throw new EngineError('NothingToQuantize', 'Nothing to dequantize: no tensor is stored as codes of 8 bits or fewer.');
  const plain = dequantizedHeader(header, stored, dtype);
  const tensors = plain.tensors.map((source): PlannedTensor => {
    const codes = sourceCodes(source, stored);
    const reason = codes.stored === undefined ? 'As it is: it is not quantized.' : `Dequantized: ${storageText(codes.stored.weight)}.`;
    return { source, action: 'keep', rule: 'dequantized', reason, ...codes };
  });
  const outputs = tensors.map((tensor) => {
    const { source, stored: codes } = tensor;
    return { ...source, byteLength: plannedBytes(tensor), origin: { kind: codes === undefined ? 'copy' : 'dequantized', source } as const };
  });
  return {
    recipe: defaultRecipe(),
    tensors,
    output: layOut(outputs, plain.metadata),
    warnings: [...stored.warnings, ...paddingWarnings(stored.byName.values())],
  };
}

/** Throws EngineError InvalidRecipe. */
export function requireReadable({ unreadable }: StoredSource): void {
  const [first] = unreadable;
  if (first === undefined) return;
  const [tensor, reason] = first;
  const others = unreadable.size === 1 ? '' : ` (and ${formatQuantity(unreadable.size - 1, 'other')} likewise)`;
  throw new EngineError('InvalidRecipe', `"${tensor}"${others} cannot be read as numbers. ${reason}`, { tensor });
}

/** `float8_e4m3fn, one scale for each row, layout compressed-tensors`. */
export function storageText({ encoding, layout, scales }: StoredWeight): string {
  const granularity = scales === undefined ? 'without a scale' : granularityText(encoding.granularity);
  return `${encoding.target}, ${granularity}, layout ${layout}`;
}
