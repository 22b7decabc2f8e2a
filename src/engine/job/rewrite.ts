/**
 * rewrite: the tasks that move a finished output into a new layout, in which some tensors are kept after all. Pure.
 *
 * Whether a tensor is finite is known only after it was read, when the layout is fixed. The file is then laid out anew, and what
 * was computed is copied from the first file instead of being computed twice.
 */
import { EngineError } from '../errors';
import type { OutputTensor, Plan } from '../plan/plan';
import type { CopyTask, DequantizeTask } from './quantizer';
import { dequantizeTask } from './schedule';

/** `files` of the job are the source's and, behind these `sourceFiles`, the first output. Ids are indices into `to.output.tensors`. */
export function rewriteTasks(from: Plan, to: Plan, sourceFiles = 1): readonly (CopyTask | DequantizeTask)[] {
  const finished = new Map(from.output.tensors.map((output) => [output.name, output]));
  const codes = new Map(to.tensors.flatMap(({ source, stored }) => (stored === undefined ? [] : [[source.name, stored] as const])));
  return to.output.tensors.flatMap((output, id) => {
    const { origin } = output;
    if (origin.kind === 'dequantized') {
      const stored = codes.get(origin.source.name);
      return stored === undefined ? [] : dequantizeTask(origin.source, stored, id, output.begin);
    }
    const source = sourceOf(output, finished, sourceFiles);
    return source === undefined || source.length === 0 ? [] : { kind: 'copy', id, name: output.name, source, outputOffset: output.begin };
  });
}

function sourceOf(output: OutputTensor, finished: ReadonlyMap<string, OutputTensor>, sourceFiles: number): CopyTask['source'] | undefined {
  const { origin } = output;
  switch (origin.kind) {
    case 'literal':
    case 'dequantized':
      return undefined;
    case 'copy':
      return { file: origin.source.file ?? 0, offset: origin.source.begin, length: origin.source.end - origin.source.begin };
    case 'codes':
    case 'scale':
    case 'tensorScale': {
      const first = finished.get(output.name);
      if (first?.origin.kind !== origin.kind) throw new EngineError('Internal', `"${output.name}" has no place in the first output`);
      return { file: sourceFiles, offset: first.begin, length: first.end - first.begin };
    }
  }
}
