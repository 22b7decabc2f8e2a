/** One field of the panel: a label, a control, and a line of help. */
import { element, setText } from '../dom';
import type { Options, PanelCommand, PanelView } from '../protocol/panelApi';
import { dropdown, slider, type Control, type DropdownChoice } from '../ui';

export interface FieldEvents {
  readonly onOptions: (patch: Partial<Options>) => void;
  readonly onBrowse: (command: Extract<PanelCommand, 'browseOutput' | 'browseCalibration'>) => void;
}

export interface Field {
  readonly root: HTMLElement;
  show(view: PanelView): void;
}

export interface Binding<Value> {
  readonly value: (view: PanelView) => Value;
  readonly help: (view: PanelView) => string;
  readonly title?: (view: PanelView) => string;
  /** Without it, to every file. */
  readonly applies?: (view: PanelView) => boolean;
  /** Whether it decides anything now; without it, always. What decides nothing can be seen, and not be changed. */
  readonly decides?: (options: Options) => boolean;
  readonly before?: (view: PanelView) => void;
}

export function dropdownField(
  label: string,
  fixed: readonly DropdownChoice[],
  onChoose: (value: string) => void,
  binding: Omit<Binding<string>, 'before'> & { readonly choices?: (view: PanelView) => readonly DropdownChoice[] },
): Field {
  const control = dropdown({ label, describedBy: helpId(label), onChoose }, fixed);
  return field(label, control, {
    ...binding,
    before: (view) => {
      if (binding.choices !== undefined) control.showChoices(binding.choices(view));
    },
  });
}

export function sliderField(
  label: string,
  range: { readonly least: number; readonly most: number; readonly step: number },
  onChoose: (value: number) => void,
  binding: Binding<number>,
): Field {
  return field<number>(label, slider({ label, describedBy: helpId(label), ...range, onChoose }), binding);
}

export function field<Value>(label: string, control: Control<Value>, binding: Binding<Value>, width: 'narrow' | 'wide' = 'narrow'): Field {
  const help = element('p', { class: 'field-help', id: helpId(label) });
  const root = element('div', { class: `field field-${width}` }, [
    element('span', { class: 'field-label', text: label }),
    control.root,
    help,
  ]);
  root.dataset['field'] = label;
  return {
    root,
    show(view) {
      root.hidden = binding.applies?.(view) === false;
      binding.before?.(view);
      control.show(binding.value(view));
      setUse(control.root, binding.decides?.(view.options) === false ? 'off' : 'on');
      const sentence = binding.help(view);
      setText(help, sentence);
      // The line may be too long for the panel.
      help.title = binding.title?.(view) ?? sentence;
    },
  };
}

export const CONTROLS = 'vscode-dropdown, vscode-text-field, vscode-button, input';

function setUse(root: HTMLElement, use: 'on' | 'off'): void {
  const parts = root.matches(CONTROLS) ? [root] : [...root.querySelectorAll<HTMLElement>(CONTROLS)];
  for (const part of parts) {
    // A button that has nothing to do says so itself.
    if (use === 'off') part.setAttribute('disabled', '');
    else if (!part.hasAttribute('data-idle')) part.removeAttribute('disabled');
  }
}

export function helpId(label: string): string {
  return `help-${label.toLowerCase().replaceAll(' ', '-')}`;
}
