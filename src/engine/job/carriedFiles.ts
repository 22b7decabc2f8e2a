/** carriedFiles: what stands beside a model in its folder, and which of it goes along: configuration, tokenizers, texts; not the weights again. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelSource } from '../safetensors/modelSource';
import type { CarriedFile } from './jobOutput';

export interface Carried {
  readonly files: readonly CarriedFile[];
  /** What stays behind, and why. */
  readonly left: readonly { readonly name: string; readonly reason: 'other weights' | 'large' }[];
}

/** Weights of other formats and other weights: they are not converted, so they would not belong to the output. */
const WEIGHTS =
  /(\.(safetensors|sft|bin|pt|pth|ckpt|pkl|gguf|ggml|onnx|onnx_data|h5|hdf5|msgpack|tflite|pb|npz|npy|engine|nemo|mlmodel)|\.(safetensors|bin|h5|msgpack)\.index\.json)$/i;
const MOST_BYTES = 64 * 1024 * 1024;
const MOST_DEPTH = 3;

/** Reads the files. Hidden files and folders are nobody's model. */
export async function carriedFiles({ folder, files, index }: ModelSource): Promise<Carried> {
  const carried: CarriedFile[] = [];
  const left: Carried['left'][number][] = [];
  const own = new Set([...files, index?.path ?? '']);
  const visit = async (within: string, depth: number): Promise<void> => {
    for (const name of (await readdir(join(folder, within))).sort()) {
      const relative = join(within, name);
      const path = join(folder, relative);
      if (name.startsWith('.') || own.has(path)) continue;
      const status = await stat(path).catch(() => undefined);
      if (status?.isDirectory() === true) {
        if (depth < MOST_DEPTH) await visit(relative, depth + 1);
      } else if (status?.isFile() === true) {
        if (WEIGHTS.test(name)) left.push({ name: relative, reason: 'other weights' });
        else if (status.size > MOST_BYTES) left.push({ name: relative, reason: 'large' });
        else carried.push({ name: relative, bytes: await readFile(path) });
      }
    }
  };
  await visit('', 0);
  return { files: carried, left };
}

/** For the report. */
export function carriedNotes({ files, left }: Carried): readonly string[] {
  const named = (reason: Carried['left'][number]['reason']): string => {
    const names = left.filter((file) => file.reason === reason).map(({ name }) => name);
    return names.slice(0, 5).join(', ') + (names.length > 5 ? ` and ${names.length - 5} more` : '');
  };
  return [
    ...(files.length === 0 ? [] : [`Carried along: ${files.map(({ name }) => name).join(', ')}.`]),
    ...(named('other weights') === '' ? [] : [`Left behind, because they are other weights: ${named('other weights')}.`]),
    ...(named('large') === '' ? [] : [`Left behind, because they are larger than 64 MB: ${named('large')}.`]),
  ];
}
