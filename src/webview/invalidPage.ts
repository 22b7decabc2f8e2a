/** The page for a file that cannot be shown: what is wrong, where, and what to do about it. */
import { element } from './dom';
import { icon } from './icons';
import type { Intent } from './protocol/editorApi';
import type { InvalidFileView } from './protocol/views';
import { button } from './ui';

export function makeInvalidPage(view: InvalidFileView, onIntent: (intent: Intent) => void): HTMLElement {
  const actions =
    view.reopen === 'possible'
      ? [
          button({ label: 'Reopen With…', appearance: 'primary', onPress: () => onIntent('reopenWith') }),
          button({ label: 'Open as Text', appearance: 'secondary', onPress: () => onIntent('openAsText') }),
        ]
      : [];
  return element('main', { class: 'invalid-page' }, [
    icon('brokenFile'),
    element('h1', { text: view.title }),
    element('p', { class: 'invalid-message', text: view.message }),
    element(
      'dl',
      { class: 'invalid-facts' },
      view.facts.flatMap((fact) => [element('dt', { text: fact.label }), element('dd', { text: fact.value })]),
    ),
    element('div', { class: 'invalid-actions' }, [
      ...actions,
      button({ label: 'Try Again', appearance: 'secondary', onPress: () => onIntent('reload') }),
    ]),
  ]);
}
