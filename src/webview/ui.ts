/** The one import of the control toolkit: the rest of the webview knows only these functions. */
import { provideVSCodeDesignSystem, vsCodeButton, vsCodeDropdown, vsCodeOption, vsCodeTextField } from '@vscode/webview-ui-toolkit';

export type ButtonAppearance = 'primary' | 'secondary' | 'icon';

/** A control that shows a value, and tells when the user has chosen another one. */
export interface Control<Value> {
  readonly root: HTMLElement;
  /** Does nothing to a control that already shows this. */
  show(value: Value): void;
}

export interface ControlOptions<Value> {
  /** For assistive technology. */
  readonly label: string;
  /** Of the element that explains it. */
  readonly describedBy?: string;
  readonly onChoose: (value: Value) => void;
}

export function registerControls(): void {
  provideVSCodeDesignSystem().register(vsCodeButton(), vsCodeDropdown(), vsCodeOption(), vsCodeTextField());
}

export function button(options: {
  readonly label: string;
  readonly appearance: ButtonAppearance;
  readonly onPress: () => void;
  readonly title?: string;
  /** For assistive technology, where the label alone could mean another one. */
  readonly name?: string;
  /** Why it cannot be pressed. */
  readonly disabled?: string;
}): HTMLElement {
  const element = document.createElement('vscode-button');
  element.setAttribute('appearance', options.appearance);
  element.textContent = options.label;
  if (options.title !== undefined) element.title = options.title;
  if (options.name !== undefined) element.setAttribute('aria-label', options.name);
  if (options.disabled !== undefined) {
    element.setAttribute('disabled', '');
    element.title = options.disabled;
  }
  element.addEventListener('click', options.onPress);
  return element;
}

export interface DropdownChoice {
  readonly value: string;
  readonly label: string;
}

export interface Dropdown extends Control<string> {
  showChoices(choices: readonly DropdownChoice[]): void;
}

interface ValueElement extends HTMLElement {
  value: string;
}

export function dropdown({ label, describedBy, onChoose }: ControlOptions<string>, choices: readonly DropdownChoice[]): Dropdown {
  const root = document.createElement('vscode-dropdown') as ValueElement;
  let offered = '';
  let shown = '';
  root.setAttribute('aria-label', label);
  if (describedBy !== undefined) root.setAttribute('aria-describedby', describedBy);
  const showChoices = (next: readonly DropdownChoice[]): void => {
    const key = JSON.stringify(next);
    if (key === offered) return;
    offered = key;
    root.replaceChildren(
      ...next.map((choice) => {
        const option = document.createElement('vscode-option') as ValueElement;
        option.setAttribute('value', choice.value);
        option.textContent = choice.label;
        option.toggleAttribute('selected', choice.value === shown);
        return option;
      }),
    );
  };
  showChoices(choices);
  root.addEventListener('change', () => {
    // Setting its value by program fires as well.
    if (root.value === shown || root.value === '') return;
    shown = root.value;
    onChoose(shown);
  });
  return {
    root,
    showChoices,
    show(value) {
      shown = value;
      // The control takes a value only once it knows its options.
      requestAnimationFrame(() => {
        if (root.value !== shown) root.value = shown;
      });
    },
  };
}

export interface TextFieldOptions extends ControlOptions<string> {
  readonly placeholder?: string;
}

export function textField({ label, describedBy, placeholder, onChoose }: TextFieldOptions): Control<string> & { readonly value: string } {
  const root = document.createElement('vscode-text-field') as ValueElement;
  root.setAttribute('aria-label', label);
  // Put into the page, the control calls itself "Text field".
  new MutationObserver(() => {
    if (root.getAttribute('aria-label') !== label) root.setAttribute('aria-label', label);
  }).observe(root, { attributeFilter: ['aria-label'] });
  root.setAttribute('spellcheck', 'false');
  if (describedBy !== undefined) root.setAttribute('aria-describedby', describedBy);
  if (placeholder !== undefined) root.setAttribute('placeholder', placeholder);
  // What is being typed is left alone; once it is chosen, what it was taken for is shown.
  let typing: 'on' | 'off' = 'off';
  root.addEventListener('input', () => (typing = 'on'));
  root.addEventListener('blur', () => (typing = 'off'));
  root.addEventListener('change', () => {
    typing = 'off';
    onChoose(root.value.trim());
  });
  return {
    root,
    get value() {
      return root.value.trim();
    },
    show(value) {
      if (root.value !== value && typing === 'off') root.value = value;
    },
  };
}

export interface SliderOptions extends ControlOptions<number> {
  readonly least: number;
  readonly most: number;
  readonly step: number;
}

/** The toolkit has no slider: the browser's own, in the theme's colours, with its number beside it. */
export function slider({ label, describedBy, least, most, step, onChoose }: SliderOptions): Control<number> {
  const input = document.createElement('input');
  Object.assign(input, { type: 'range', min: String(least), max: String(most), step: String(step), className: 'slider' });
  input.setAttribute('aria-label', label);
  if (describedBy !== undefined) input.setAttribute('aria-describedby', describedBy);
  const number = document.createElement('output');
  number.className = 'slider-number';
  const root = document.createElement('div');
  root.className = 'slider-row';
  root.append(input, number);
  const showNumber = (value: number): void => {
    number.textContent = String(value);
  };
  input.addEventListener('input', () => showNumber(input.valueAsNumber));
  input.addEventListener('change', () => onChoose(input.valueAsNumber));
  return {
    root,
    show(value) {
      if (input.valueAsNumber !== value) input.value = String(value);
      // A value beyond the slider's ends comes from the settings or a file, and counts as it is.
      showNumber(value);
    },
  };
}
