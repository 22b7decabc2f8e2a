/** The ways out of a recipe that cannot be carried out, as buttons. */
import { element } from '../dom';
import type { Options, PanelView, Remedy } from '../protocol/panelApi';
import { button } from '../ui';
import { layoutLabel } from './formatFields';

export function makeRemedies({ remedies }: PanelView, onOptions: (patch: Partial<Options>) => void): HTMLElement {
  return element(
    'div',
    { class: 'remedies', role: 'group', aria: { label: 'Ways out' } },
    remedies.map((remedy) => button({ label: labelOf(remedy), appearance: 'secondary', onPress: () => onOptions(patchOf(remedy)) })),
  );
}

function labelOf(remedy: Remedy): string {
  switch (remedy.kind) {
    case 'granularity':
      return 'Automatic Granularity';
    case 'layout':
      return `Layout ${layoutLabel(remedy.layout)}`;
    case 'rounding':
      return 'Learned Rounding';
    case 'calibration':
      return 'No Calibration File';
  }
}

function patchOf(remedy: Remedy): Partial<Options> {
  switch (remedy.kind) {
    case 'granularity':
      return { granularity: 'auto' };
    case 'layout':
      return { layout: remedy.layout };
    case 'rounding':
      return { rounding: 'learned' };
    case 'calibration':
      return { calibration: '' };
  }
}
