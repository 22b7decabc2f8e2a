/** The panel's sections: fields that belong together under a heading that folds them, with what is chosen in them beside it while they are folded. */
import { element, setText } from '../dom';
import { icon } from '../icons';
import type { PanelView, SectionName } from '../protocol/panelApi';
import { CONTROLS, type Field, type FieldEvents } from './field';
import { formatFields, formatSummary } from './formatFields';
import { outputFields, outputSummary } from './outputFields';
import { roundingFields, roundingSummary, statisticsFields, statisticsSummary } from './roundingFields';
import { tensorFields, tensorSummary } from './tensorFields';

export interface SectionEvents extends FieldEvents {
  readonly onFold: (section: SectionName, state: 'open' | 'folded') => void;
}

export interface Sections {
  readonly roots: readonly HTMLElement[];
  show(view: PanelView): void;
  /** To the control with this label or, where its section is folded, to the heading that says what is chosen in it. */
  focus(label: string): void;
}

interface Section {
  readonly name: SectionName;
  readonly title: string;
  readonly summary: (view: PanelView) => string;
  readonly content: HTMLElement;
  readonly show: (view: PanelView) => void;
}

/** `overrides` is what stands in the section of this name. */
export function makeSections(
  events: SectionEvents,
  overrides: { readonly root: HTMLElement; readonly show: (overrides: PanelView['overrides']) => void },
): Sections {
  const sections = [
    fieldSection('format', 'Format', formatFields(events), formatSummary),
    fieldSection('rounding', 'Rounding', roundingFields(events), roundingSummary),
    fieldSection('statistics', 'Statistics', statisticsFields(events), statisticsSummary),
    fieldSection('tensors', 'Tensors', tensorFields(events), tensorSummary),
    {
      name: 'overrides',
      title: 'Overrides',
      summary: ({ overrides: all }: PanelView) => (all.length === 0 ? 'none' : String(all.length)),
      content: overrides.root,
      show: (view: PanelView) => overrides.show(view.overrides),
    },
    fieldSection('output', 'Output', outputFields(events), outputSummary),
  ] as const satisfies readonly Section[];
  const folding = sections.map((section) => foldable(section, events.onFold));
  return {
    roots: folding.map(({ root }) => root),
    show(view) {
      for (const section of folding) section.show(view);
    },
    focus(label) {
      for (const { root } of folding) {
        const found = [...root.querySelectorAll<HTMLElement>('.field')].find(({ dataset }) => dataset['field'] === label);
        if (found === undefined) continue;
        const control = root.open && !found.hidden ? found.querySelector<HTMLElement>(CONTROLS) : undefined;
        (control ?? root.querySelector('summary'))?.focus();
      }
    },
  };
}

function fieldSection(name: SectionName, title: string, fields: readonly Field[], summary: Section['summary']): Section {
  return {
    name,
    title,
    summary,
    content: element(
      'div',
      { class: 'fields' },
      fields.map(({ root }) => root),
    ),
    show(view) {
      for (const field of fields) field.show(view);
    },
  };
}

function foldable({ name, title, summary, content, ...section }: Section, onFold: SectionEvents['onFold']) {
  const chosen = element('span', { class: 'section-summary dim' });
  const root = element('details', { class: 'section' }, [
    element('summary', {}, [icon('chevron'), element('h3', { text: title }), chosen]),
    content,
  ]);
  root.dataset['section'] = name;
  let known: boolean | undefined;
  root.addEventListener('toggle', () => {
    if (known === undefined || root.open === known) return;
    known = root.open;
    onFold(name, root.open ? 'open' : 'folded');
  });
  return {
    root,
    show(view: PanelView): void {
      // Afterwards whoever looks at it folds it.
      if (known === undefined) {
        known = !view.folded.includes(name);
        root.open = known;
      }
      setText(chosen, summary(view));
      chosen.title = summary(view);
      section.show(view);
    },
  };
}
