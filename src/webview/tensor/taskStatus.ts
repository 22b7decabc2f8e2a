/** What is shown while the engine computes: what it does, how far it is, and the way to stop it. */
import { element, setText } from '../dom';

export interface TaskStatus {
  readonly root: HTMLElement;
  readonly stop: HTMLElement;
  /** 0–1. */
  show(fraction: number): void;
  say(words: string): void;
}

export function makeTaskStatus(label: string, onStop: () => void): TaskStatus {
  const fill = element('span', { class: 'fill' });
  const bar = element('div', { class: 'bar indeterminate', role: 'progressbar', aria: { label, valuemin: 0, valuemax: 100 } }, [fill]);
  const words = element('span', { class: 'dim', text: `${label}…` });
  const stop = element('button', { class: 'link', text: 'Stop' });
  stop.type = 'button';
  stop.addEventListener('click', onStop);
  return {
    root: element('div', { class: 'task-status' }, [words, stop, bar]),
    stop,
    show(fraction) {
      bar.classList.remove('indeterminate');
      bar.setAttribute('aria-valuenow', String(Math.floor(fraction * 100)));
      fill.style.transform = `scaleX(${fraction})`;
    },
    say(text) {
      setText(words, text);
    },
  };
}
