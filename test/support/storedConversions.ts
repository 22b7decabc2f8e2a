/** storedConversions: what tests of models that are stored as codes do again and again, and what their files hold. */
import { join } from 'node:path';
import type { StoredWork } from '../../src/engine/job/convertRequest';
import type { Recipe } from '../../src/engine/plan/recipe';
import { openModel } from '../../src/engine/safetensors/modelSource';
import type { EngineScene } from './engineScene';

export interface Contents {
  readonly tensors: ReadonlyMap<string, StoredBytes>;
  readonly metadata: ReadonlyMap<string, string>;
}

interface StoredBytes {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

export async function contentsOf(path: string): Promise<Contents> {
  const model = await openModel(path);
  const tensors = new Map<string, StoredBytes>();
  for (const tensor of model.header.tensors)
    tensors.set(tensor.name, { dtype: tensor.dtype, shape: tensor.shape, bytes: await model.readTensor(tensor) });
  await model.close();
  return { tensors, metadata: model.header.metadata };
}

export function numbers({ bytes }: { readonly bytes: Uint8Array }): Float32Array {
  return new Float32Array(bytes.slice().buffer);
}

interface StoredConversions {
  path(name: string): string;
  /** Rounded to nearest unless the recipe says otherwise; the output's path. */
  converted(name: string, recipe: Partial<Recipe>, source?: string): Promise<string>;
  worked(work: StoredWork, source: string, output: string): Promise<string>;
}

export function storedConversions(scene: EngineScene): StoredConversions {
  const path = (name: string): string => join(scene.folder, `${name}.safetensors`);
  return {
    path,
    async converted(name, recipe, source = scene.source) {
      await scene.convert(scene.request({ source, output: path(name) }, { rounding: 'nearest', ...recipe }));
      return path(name);
    },
    async worked(work, source, output) {
      await scene.convert(scene.request({ source, output, work }));
      return output;
    },
  };
}
