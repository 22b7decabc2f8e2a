/** What can be done about a problem or a warning, as buttons. */
import { element } from '../dom';
import type { Notice, Options, PanelCommand, Remedy } from '../protocol/panelApi';
import { button } from '../ui';
import { layoutLabel, targetLabel } from './formatFields';

export interface RemedyEvents {
  readonly onOptions: (patch: Partial<Options>) => void;
  readonly onBrowse: (command: Extract<PanelCommand, 'browseCalibration'>) => void;
}

export function makeRemedies({ remedies }: Notice, { onOptions, onBrowse }: RemedyEvents): HTMLElement {
  return element(
    'div',
    { class: 'remedies', role: 'group', aria: { label: 'Ways out' } },
    remedies.map((remedy) => {
      const change = changeOf(remedy);
      const onPress = (): void => (change === 'browseCalibration' ? onBrowse(change) : onOptions(change));
      return button({ label: labelOf(remedy), appearance: 'secondary', onPress });
    }),
  );
}

function labelOf(remedy: Remedy): string {
  switch (remedy.kind) {
    case 'granularity':
      return 'Automatic Granularity';
    case 'layout':
      return `Layout ${layoutLabel(remedy.layout)}`;
    case 'target':
      return `Target ${targetLabel(remedy.target)}`;
    case 'block':
      return `Block ${remedy.edge} × ${remedy.edge}`;
    case 'rounding':
      return 'Learned Rounding';
    case 'calibration':
      return 'No Calibration File';
    case 'browse':
      return 'Browse for a File…';
    case 'statistics':
      return 'Use Automatic';
  }
}

function changeOf(remedy: Remedy): Partial<Options> | 'browseCalibration' {
  switch (remedy.kind) {
    case 'granularity':
      return { granularity: 'auto' };
    case 'layout':
      return { layout: remedy.layout };
    case 'target':
      return { target: remedy.target, granularity: 'auto' };
    case 'block':
      return { granularity: 'block', blockSize: [remedy.edge, remedy.edge] };
    case 'rounding':
      return { rounding: 'learned' };
    case 'calibration':
      return { calibration: '' };
    case 'browse':
      return 'browseCalibration';
    case 'statistics':
      return { statistics: 'auto' };
  }
}
