/** The one import of the control toolkit: the rest of the webview knows only these functions. */
import { provideVSCodeDesignSystem, vsCodeButton } from '@vscode/webview-ui-toolkit';

export type ButtonAppearance = 'primary' | 'secondary' | 'icon';

export function registerControls(): void {
  provideVSCodeDesignSystem().register(vsCodeButton());
}

export function button(options: {
  readonly label: string;
  readonly appearance: ButtonAppearance;
  readonly onPress: () => void;
  readonly title?: string;
  /** Why it cannot be pressed. */
  readonly disabled?: string;
}): HTMLElement {
  const element = document.createElement('vscode-button');
  element.setAttribute('appearance', options.appearance);
  element.textContent = options.label;
  if (options.title !== undefined) element.title = options.title;
  if (options.disabled !== undefined) {
    element.setAttribute('disabled', '');
    element.title = options.disabled;
  }
  element.addEventListener('click', options.onPress);
  return element;
}
