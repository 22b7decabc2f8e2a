/** The metadata of the file: folded away until it is wanted, long values folded once more, each to be copied. */
import { formatBytes, formatQuantity } from '../../base/format';
import { element } from '../dom';
import type { ArchitectureView, MetadataEntry } from '../protocol/views';
import { tool } from './toolbar';

export interface MetadataEvents {
  readonly valueOf: (key: string) => Promise<string>;
  readonly onCopy: (text: string) => void;
}

export function makeMetadata(entries: readonly MetadataEntry[], events: MetadataEvents): HTMLElement {
  const list = element('dl', { class: 'metadata-list' });
  const details = element('details', { class: 'fold metadata' }, [
    element('summary', {}, [
      element('span', { text: 'Metadata' }),
      element('span', { class: 'dim', text: formatQuantity(entries.length, 'entry', 'entries') }),
    ]),
    list,
  ]);
  // Thousands of elements that nobody looks at are not made.
  details.addEventListener('toggle', () => {
    if (details.open && list.childElementCount === 0) list.append(...entries.flatMap((entry) => item(entry, events)));
  });
  return details;
}

function item(entry: MetadataEntry, { valueOf, onCopy }: MetadataEvents): readonly HTMLElement[] {
  const { key, preview, length, kind } = entry;
  const copy = tool('copy', `Copy ${key}`, () => void valueOf(key).then(onCopy));
  const isWhole = length <= preview.length && kind === 'text' && !preview.includes('\n');
  const value = isWhole ? element('span', { class: 'metadata-value', text: preview }) : folded(entry, valueOf);
  return [element('dt', { text: key, title: key }), element('dd', {}, [value, copy])];
}

function folded({ key, preview, length, kind }: MetadataEntry, valueOf: MetadataEvents['valueOf']): HTMLElement {
  const whole = element('pre', { class: 'metadata-whole' });
  whole.tabIndex = 0;
  const fold = element('details', { class: 'metadata-fold' }, [
    element('summary', {}, [
      element('span', { class: 'metadata-value', text: preview.replace(/\s+/g, ' ') }),
      element('span', { class: 'dim metadata-size', text: `${kind === 'json' ? 'JSON, ' : ''}${formatBytes(length)}` }),
    ]),
    whole,
  ]);
  fold.addEventListener('toggle', () => {
    if (fold.open && whole.textContent === '')
      void valueOf(key).then((text) => (whole.textContent = kind === 'json' ? pretty(text) : text));
  });
  return fold;
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), undefined, 2);
  } catch {
    return text;
  }
}

/** What the model is, with what it is known by. */
export function makeArchitecture({ title, parts }: ArchitectureView): HTMLElement {
  return element('details', { class: 'fold architecture' }, [
    element('summary', {}, [element('strong', { text: title }), element('span', { class: 'dim', text: 'how it is known' })]),
    ...parts.map((part) =>
      element('div', { class: 'architecture-part' }, [
        element('p', {}, [
          ...(parts.length > 1 ? [element('strong', { text: part.title }), ' '] : []),
          element('span', { class: 'dim', text: part.detail }),
        ]),
        element(
          'ul',
          {},
          part.evidence.map((sentence) => element('li', {}, withCode(sentence))),
        ),
      ]),
    ),
  ]);
}

/** Names between backquotes are set as code. */
function withCode(sentence: string): readonly (HTMLElement | string)[] {
  return sentence.split('`').map((text, index) => (index % 2 === 1 ? element('code', { text }) : text));
}
