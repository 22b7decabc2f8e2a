/** The quantization panel: what can be chosen and what it would come to; while a conversion runs, how it goes. */
import type { RpcClient } from '../../rpc/client';
import { formatInteger, formatProgress, formatThroughput, formatTimeLeft } from '../../base/format';
import { element, setText } from '../dom';
import { makePlot } from '../plot';
import type { EditorApi } from '../protocol/editorApi';
import { keepFocus } from '../keepFocus';
import type { Notice, Options, PanelCommand, PanelView, PlotPoint } from '../protocol/panelApi';
import type { ConversionView } from '../protocol/views';
import { button } from '../ui';
import { makeForecast } from './forecast';
import { makeOverrides } from './overrides';
import { makeRemedies } from './remedies';
import { makeSections, type Sections } from './sections';
import { PANEL_ID } from './toggle';

interface Controls {
  /** Where the parts go. */
  readonly root: HTMLElement;
  /** Everything below the forecast, from top to bottom. */
  readonly parts: readonly HTMLElement[];
  readonly sections: Sections;
  readonly reset: HTMLElement;
}

export class Panel {
  readonly root = element('aside', { class: 'panel', id: PANEL_ID, aria: { label: 'Quantization' } });
  readonly #choosing = element('div', { class: 'panel-choosing' });
  readonly #running = element('section', { class: 'panel-running', aria: { label: 'Running conversion' } });
  readonly #forecast = element('section', { class: 'forecast', aria: { label: 'What Convert would do' } });
  readonly #plot = makePlot();
  readonly #current = element('ul', { class: 'current-tensors', aria: { label: 'Tensors at work' } });
  readonly #numbers = element('p', { class: 'running-numbers' });
  #controls: Controls | undefined;
  #points: readonly PlotPoint[] = [];
  #quantized = 0;
  /** The number of the last change of options that was asked for. */
  #asked = 0;

  constructor(private readonly host: RpcClient<EditorApi>) {
    this.#running.append(
      element('h3', { text: 'Progress' }),
      this.#numbers,
      this.#plot.root,
      element('h3', { text: 'At work' }),
      this.#current,
    );
    this.#choosing.append(this.#forecast);
    this.root.append(this.#choosing, this.#running);
    this.#running.hidden = true;
    void this.#followPoints();
  }

  show(view: PanelView): void {
    this.#quantized = view.forecast.actions.quantize.tensors;
    const { root, parts, sections, reset } = (this.#controls ??= this.#makeControls());
    this.#showForecast(view, sections, root);
    root.append(...parts.slice(root.childElementCount));
    root.hidden = false;
    // Options from before the last change would take it back, and the next press of a key would begin from them.
    if (view.answers >= this.#asked) sections.show(view);
    keepFocus(
      reset,
      () => reset.toggleAttribute('disabled', view.choices === 'none'),
      () => [reset.nextElementSibling as HTMLElement | null],
    );
  }

  /** Whoever takes a way out comes to the field that it changes, before the way out goes. */
  #showForecast(view: PanelView, sections: Sections, below: HTMLElement): void {
    const remedies = (notice: Notice): HTMLElement =>
      makeRemedies(notice, {
        onOptions: (patch) => this.#change(patch),
        onCommand: (command) => void this.host.request('panelCommand', command),
        onTaken: (field) => sections.focus(field),
      });
    const focused = document.activeElement?.textContent;
    keepFocus(
      this.#forecast,
      () => this.#forecast.replaceChildren(...makeForecast(view, remedies)),
      () => {
        const ways = [...this.#forecast.querySelectorAll<HTMLElement>('.remedies vscode-button')];
        // The same one, drawn anew; never another one, which an impatient Enter would take.
        return [ways.find(({ textContent }) => textContent === focused), below.querySelector('summary')];
      },
    );
  }

  #change(patch: Partial<Options>): void {
    this.#asked += 1;
    void this.host.request('setOptions', { number: this.#asked, patch });
  }

  /**
   * Makes the controls while nobody needs the page, one section after the other: together they take longer than a frame, and at first everybody
   * waits for the rows of the table.
   */
  prepare(): void {
    const { root, parts } = (this.#controls ??= this.#makeControls());
    const next = parts[root.childElementCount];
    if (next === undefined) return;
    root.append(next);
    requestIdleCallback(() => this.prepare());
  }

  #makeControls(): Controls {
    const { host } = this;
    const command = (name: PanelCommand): void => void host.request('panelCommand', name);
    const sections = makeSections(
      {
        onOptions: (patch) => this.#change(patch),
        onBrowse: command,
        onFold: (section, state) => void host.request('foldSection', { section, state }),
      },
      makeOverrides({ onOverride: (request) => host.request('setOverride', request), onResetAll: () => command('resetOverrides') }),
    );
    const reset = button({ label: 'Reset', appearance: 'secondary', title: 'Back to the settings', onPress: () => command('reset') });
    const buttons = element('div', { class: 'panel-buttons' }, [
      button({ label: 'Load Recipe…', appearance: 'secondary', onPress: () => command('loadRecipe') }),
      button({ label: 'Save Recipe…', appearance: 'secondary', onPress: () => command('saveRecipe') }),
      reset,
      button({
        label: 'Settings',
        appearance: 'secondary',
        title: 'Defaults for every file',
        onPress: () => void host.request('perform', 'openSettings'),
      }),
    ]);
    const root = element('div', { class: 'panel-scroll' });
    root.hidden = true;
    this.#choosing.append(root);
    return { root, parts: [...sections.roots, buttons], sections, reset };
  }

  showConversion(view: ConversionView): void {
    const isActive = view.phase === 'running' || view.phase === 'queued';
    this.#running.hidden = !isActive;
    this.#choosing.hidden = isActive;
    if (!isActive) return;
    const progress = view.phase === 'running' ? view.progress : undefined;
    setText(this.#numbers, view.phase === 'queued' ? 'Waiting for another conversion on this device.' : numbers(progress));
    const names = progress?.current ?? [];
    this.#current.replaceChildren(...names.map((name) => element('li', { text: name, title: name })));
    this.#drawPlot();
  }

  async #followPoints(): Promise<void> {
    for await (const points of this.host.stream('finishedTensors', undefined)) {
      this.#points = points;
      this.#drawPlot();
    }
  }

  #drawPlot(): void {
    if (this.#running.hidden) return;
    this.#plot.show(this.#points, {
      title: 'Objective',
      reference: { value: 1, label: 'nearest' },
      expected: this.#quantized,
    });
  }
}

function numbers(progress: Extract<ConversionView, { readonly phase: 'running' }>['progress']): string {
  if (progress === undefined) return 'Starting the engine.';
  const { fraction, tensorsDone, tensorsTotal, bytesPerSecond, remainingSeconds } = progress;
  const parts = [formatProgress(fraction), `${formatInteger(tensorsDone)} of ${formatInteger(tensorsTotal)} tensors`];
  if (bytesPerSecond > 0) parts.push(formatThroughput(bytesPerSecond));
  if (remainingSeconds !== undefined) parts.push(formatTimeLeft(remainingSeconds));
  return parts.join(' · ');
}
