/** dequantizedHeader: a header as it would be had the model not been quantized: numbers in place of codes, and nothing that describes these. Pure. */
import type { SourceDtype } from '../../dtype';
import type { Header, TensorInfo } from '../../safetensors/header';
import type { StoredWeights } from './storedWeight';

/** The layout that a file was migrated to, and the version of the tool. */
export const MIGRATED_KEY = 'fp8_quantizer.migrated';

const DESCRIBING = /^(_quantization_metadata|fp8_quantizer\.(version|recipe|migrated|encodings)(\.\d+)?)$/;

/** Byte ranges stay those of the codes, which are what is read. */
export function dequantizedHeader(header: Header, { byName, companions }: StoredWeights, dtype: SourceDtype): Header {
  const byCodes = new Map([...byName.values()].map((weight) => [weight.codes.name, weight]));
  const tensors = header.tensors.flatMap((tensor): readonly TensorInfo[] => {
    const weight = byCodes.get(tensor.name);
    if (weight !== undefined) return [{ ...tensor, name: weight.name, dtype, shape: weight.shape }];
    return companions.has(tensor.name) ? [] : [tensor];
  });
  const metadata = new Map([...header.metadata].filter(([key]) => !DESCRIBING.test(key)));
  return { ...header, tensors, byName: new Map(tensors.map((tensor) => [tensor.name, tensor])), metadata };
}
