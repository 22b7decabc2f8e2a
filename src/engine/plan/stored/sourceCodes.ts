/** sourceCodes: what a plan keeps of a weight that its source has as codes. Pure. */
import type { TensorInfo } from '../../safetensors/header';
import type { SourceCodes } from '../plan';
import type { StoredWeights } from './storedWeight';

/** Stored weights with what had to be read of their files. */
export interface StoredSource extends StoredWeights {
  /** By which every code and scale of a weight counts besides, by the weight's name. */
  readonly tensorScales: ReadonlyMap<string, number>;
  /** Where what describes them contradicts itself, in sentences. */
  readonly warnings: readonly string[];
}

export function sourceCodes({ name }: Pick<TensorInfo, 'name'>, source: StoredSource | undefined): { readonly stored?: SourceCodes } {
  const weight = source?.byName.get(name);
  if (weight === undefined) return {};
  const tensorScale = source?.tensorScales.get(name);
  return { stored: { weight, ...(tensorScale === undefined ? {} : { tensorScale }) } };
}
