/** The conversion strip: what Convert will write, then how far it is, then what came of it. Its height does not depend on which. */
import { element } from '../dom';
import type { ConversionView } from '../protocol/views';
import { ended, makeRunning, queued, ready, type Proposal, type RunningStrip, type StripEvents } from './phases';

export class ConversionStrip {
  readonly root = element('section', { class: 'strip', aria: { label: 'Conversion to FP8' } });
  readonly #live = element('div', { class: 'visually-hidden', aria: { live: 'polite' } });
  readonly #content = element('div', { class: 'strip-content' });
  #running: RunningStrip | undefined;
  #proposal: Proposal | undefined;
  #conversion: ConversionView = { phase: 'idle' };

  constructor(private readonly events: StripEvents) {
    this.root.append(this.#content, this.#live);
  }

  showProposal(proposal: Proposal): void {
    this.#proposal = proposal;
    this.#draw();
  }

  showConversion(conversion: ConversionView): void {
    const changed = conversion.phase !== this.#conversion.phase;
    this.#conversion = conversion;
    if (conversion.phase === 'running' && this.#running !== undefined) {
      this.#running.show(conversion);
      return;
    }
    this.#draw();
    if (changed) this.#live.textContent = announcement(conversion);
  }

  #draw(): void {
    if (this.#proposal === undefined) return;
    const hadFocus = this.#content.contains(document.activeElement);
    this.root.dataset['phase'] = this.#conversion.phase;
    this.#running = undefined;
    switch (this.#conversion.phase) {
      case 'idle':
      case 'cancelled':
      case 'interrupted':
        this.#content.replaceChildren(...ready(this.#proposal, this.#conversion, this.events));
        break;
      case 'queued':
        this.#content.replaceChildren(...queued(this.#conversion, this.events));
        break;
      case 'running':
        this.#running = makeRunning(this.events);
        this.#running.show(this.#conversion);
        this.#content.replaceChildren(...this.#running.nodes);
        break;
      case 'done':
      case 'failed':
        this.#content.replaceChildren(...ended(this.#conversion, this.events));
        break;
    }
    // Whoever pressed Convert by keyboard finds the focus on the button that took its place.
    if (hadFocus) this.#content.querySelector<HTMLElement>('vscode-button:not(.panel-toggle)')?.focus();
  }
}

function announcement(conversion: ConversionView): string {
  switch (conversion.phase) {
    case 'idle':
      return '';
    case 'queued':
      return 'Waiting for another conversion';
    case 'running':
      return 'Converting';
    case 'done':
      return `Converted to ${conversion.outputName}`;
    case 'failed':
      return `Conversion failed: ${conversion.message}`;
    case 'cancelled':
      return 'Conversion cancelled';
    case 'interrupted':
      return 'The conversion was interrupted';
  }
}
