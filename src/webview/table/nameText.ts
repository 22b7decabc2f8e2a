/** NameText: a tensor's name in a cell, as its path, which gives way first, and its end. Both are cut at their beginnings. */
import { element, setText } from '../dom';

export interface NameText {
  readonly nodes: readonly HTMLElement[];
  show(path: string, leaf: string): void;
}

export function makeNameText(): NameText {
  const isolated = element('bdi');
  const isolatedLeaf = element('bdi');
  for (const text of [isolated, isolatedLeaf]) text.dir = 'ltr';
  const path = element('span', { class: 'name-path' }, [isolated]);
  const leaf = element('span', { class: 'name-leaf' }, [isolatedLeaf]);
  let leafLength = 0;
  return {
    nodes: [path, leaf],
    show(pathText, leafText) {
      setText(isolated, pathText);
      setText(isolatedLeaf, leafText);
      // What the path leaves to the leaf, as table.css has it.
      if (leafText.length === leafLength) return;
      leafLength = leafText.length;
      path.style.setProperty('--fp8-leaf', String(leafLength));
    },
  };
}
