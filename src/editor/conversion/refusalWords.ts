/** refusalWords: what a layout takes, and that it is not what was chosen, in the words of the panel. Pure. */
import { TARGETS, type Granularity } from '../../engine/plan/encoding';
import { FORMATS } from '../../engine/plan/formats/formats';
import type { Recipe } from '../../engine/plan/recipe';
import { LAYOUT_LABELS, TARGET_LABELS } from '../../webview/protocol/labels';

type Kind = Granularity['kind'];

/** E.g. `Hugging Face takes FP8 E4M3 in blocks, not MXFP8.` The layout refuses the recipe's target or its granularity. */
export function refusalWords({ layout, target, granularity }: Pick<Recipe, 'layout' | 'target' | 'granularity'>): string {
  const { holds } = FORMATS[layout];
  const taken = holds[target];
  const subject = layout === 'comfyui-legacy' ? 'Legacy ComfyUI' : LAYOUT_LABELS[layout];
  if (taken !== undefined) {
    const refused = granularity === 'auto' ? '' : `, not ${KIND_WORDS[granularity]}`;
    return `${subject} takes ${TARGET_LABELS[target]} ${kindsText(taken)}${refused}.`;
  }
  const targets = TARGETS.filter((other) => holds[other] !== undefined);
  const [only] = targets;
  const text =
    targets.length === 1 && only !== undefined
      ? `${TARGET_LABELS[only]} ${kindsText(holds[only] ?? [])}`
      : listed(targets.map((other) => TARGET_LABELS[other]));
  return `${subject} takes ${text}, not ${TARGET_LABELS[target]}.`;
}

const KIND_WORDS: Readonly<Record<Kind, string>> = {
  tensor: 'with one scale for each tensor',
  row: 'with one scale for each row',
  block: 'in blocks',
};

function kindsText(kinds: readonly Kind[]): string {
  return kinds.map((kind) => KIND_WORDS[kind]).join(' or ');
}

function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1) ?? ''}`;
}
