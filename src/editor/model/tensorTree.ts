/** TensorTree: tensors grouped by the parts of their names. Groups with a single group in them are one row: `model.layers.`. Pure. */
import type { Sliced } from '../../base/slices';

export interface TreeGroup {
  /** With the dot at its end; empty for the root. */
  readonly path: string;
  /** The path without that of the group around it. */
  readonly label: string;
  readonly groups: readonly TreeGroup[];
  /** Indexes of the tensors directly in it. */
  readonly tensors: readonly number[];
}

interface Growing {
  readonly path: string;
  readonly groups: Map<string, Growing>;
  readonly tensors: number[];
}

const NAMES_BETWEEN_STOPS = 1000;

export function* treeInSlices(names: readonly string[]): Sliced<TreeGroup> {
  const root: Growing = { path: '', groups: new Map(), tensors: [] };
  for (const [index, name] of names.entries()) {
    if (index % NAMES_BETWEEN_STOPS === 0) yield;
    let group = root;
    for (let begin = 0; ;) {
      const dot = name.indexOf('.', begin);
      // A name that ends in a dot, or has two in a row, is no deeper for it.
      if (dot < 0 || dot === name.length - 1) break;
      const part = name.slice(begin, dot + 1);
      let inner = group.groups.get(part);
      if (inner === undefined) {
        inner = { path: name.slice(0, dot + 1), groups: new Map(), tensors: [] };
        group.groups.set(part, inner);
      }
      group = inner;
      begin = dot + 1;
    }
    group.tensors.push(index);
  }
  yield;
  return finished(root, '');
}

function finished(group: Growing, outer: string): TreeGroup {
  let deepest = group;
  while (group.path !== '' && deepest.tensors.length === 0 && deepest.groups.size === 1) {
    const [only] = deepest.groups.values();
    if (only === undefined) break;
    deepest = only;
  }
  return {
    path: deepest.path,
    label: deepest.path.slice(outer.length),
    groups: [...deepest.groups.values()].map((inner) => finished(inner, deepest.path)),
    tensors: deepest.tensors,
  };
}
