/** usableScales: whether the scales of a quantized model can be those of numbers; where one is not, every number by it would be lost. */
import { formatQuantity } from '../../../base/format';
import { EngineError } from '../../errors';
import { numbersOf } from '../../numbersOf';
import type { TensorInfo } from '../../safetensors/header';
import { openModel, type ModelSource } from '../../safetensors/modelSource';
import type { StoredSource } from './sourceCodes';
import type { StoredWeight } from './storedWeight';

/** Throws EngineError InvalidRecipe, which names the scales and their weight. */
export async function requireUsableScales(source: ModelSource, { byName, tensorScales }: StoredSource): Promise<void> {
  const model = await openModel(source.path);
  try {
    for (const weight of byName.values()) {
      const { scales, tensorScale, storage } = weight;
      const whole = tensorScales.get(weight.name);
      if (tensorScale !== undefined && whole !== undefined && !(whole > 0 && whole < Infinity))
        throw unusable(source, weight, tensorScale, 1);
      if (scales === undefined) continue;
      const bad = countUnusable(await model.readTensor(scales), storage.scaleForm);
      if (bad > 0) throw unusable(source, weight, scales, bad);
    }
  } finally {
    await model.close();
  }
}

/** Zero is the scale of a block of zeros; as the only one of a tensor it is none. */
function countUnusable(bytes: Uint8Array, form: StoredWeight['storage']['scaleForm']): number {
  const scales = scaleNumbers(bytes, form);
  const least = scales.length === 1 ? Number.MIN_VALUE : 0;
  return scales.reduce((count, scale) => count + (scale >= least && scale < Infinity ? 0 : 1), 0);
}

function scaleNumbers(bytes: Uint8Array, form: StoredWeight['storage']['scaleForm']): Float64Array {
  switch (form) {
    case 'f32':
      return numbersOf(bytes, 'F32');
    case 'f16':
      return numbersOf(bytes, 'F16');
    case 'bf16':
      return numbersOf(bytes, 'BF16');
    case 'e4m3':
      return numbersOf(bytes, 'F8_E4M3');
    case 'e8m0':
      return Float64Array.from(bytes, (exponent) => (exponent === 255 ? NaN : 2 ** (exponent - 127)));
  }
}

function unusable({ path }: ModelSource, weight: StoredWeight, { name: tensor }: TensorInfo, count: number): EngineError {
  return new EngineError(
    'InvalidRecipe',
    `${path}: "${tensor}" has ${formatQuantity(count, 'scale')} that no number can have (NaN, infinite, negative, or zero for a whole tensor), so "${weight.name}" cannot be dequantized. Quantize the model anew, or get it again from where it came.`,
    { path, tensor },
  );
}
