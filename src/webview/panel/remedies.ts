/** What can be done about a problem or a warning, as buttons. */
import { element } from '../dom';
import { LAYOUT_LABELS, TARGET_LABELS } from '../protocol/labels';
import type { Notice, Options, PanelCommand, Remedy } from '../protocol/panelApi';
import { button } from '../ui';

type RemedyCommand = Extract<PanelCommand, 'browseCalibration' | 'browseOutput' | 'createOutputFolder'>;

export interface RemedyEvents {
  readonly onOptions: (patch: Partial<Options>) => void;
  readonly onCommand: (command: RemedyCommand) => void;
  /** After the way out was taken; `field` is the label of what it changed. */
  readonly onTaken: (field: string) => void;
}

export function makeRemedies({ remedies }: Notice, { onOptions, onCommand, onTaken }: RemedyEvents): HTMLElement {
  return element(
    'div',
    { class: 'remedies', role: 'group', aria: { label: 'Ways out' } },
    remedies.map((remedy) => {
      const change = changeOf(remedy);
      const onPress = (): void => {
        if (typeof change === 'string') onCommand(change);
        else onOptions(change);
        onTaken(fieldOf(remedy));
      };
      return button({ label: labelOf(remedy), appearance: 'secondary', onPress });
    }),
  );
}

function labelOf(remedy: Remedy): string {
  switch (remedy.kind) {
    case 'granularity':
      return 'Automatic Granularity';
    case 'layout':
      return `Layout ${LAYOUT_LABELS[remedy.layout]}`;
    case 'target':
      return `Target ${TARGET_LABELS[remedy.target]}`;
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
    case 'requantize':
      return 'Round Anew';
    case 'defaultName':
      return 'Use Default Name';
    case 'browseOutput':
      return 'Browse…';
    case 'createFolder':
      return 'Create the Folder';
  }
}

function changeOf(remedy: Remedy): Partial<Options> | RemedyCommand {
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
    case 'requantize':
      return { quantized: 'requantize' };
    case 'defaultName':
      return { output: '' };
    case 'browseOutput':
      return 'browseOutput';
    case 'createFolder':
      return 'createOutputFolder';
  }
}

/** The label of the field that shows what was changed. */
function fieldOf({ kind }: Remedy): string {
  switch (kind) {
    case 'granularity':
    case 'block':
      return 'Granularity';
    case 'layout':
      return 'Layout';
    case 'target':
      return 'Target';
    case 'rounding':
      return 'Rounding';
    case 'calibration':
    case 'browse':
      return 'Calibration file';
    case 'statistics':
      return 'Statistics';
    case 'requantize':
      return 'Quantized';
    case 'defaultName':
    case 'browseOutput':
    case 'createFolder':
      return 'Output';
  }
}
