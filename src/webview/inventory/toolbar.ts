/** The toolbar above the table: search, filter, list or tree, export, and the details of the active tensor. */
import { formatBytes, formatInteger } from '../../base/format';
import { element, setText } from '../dom';
import { icon, type IconName } from '../icons';
import type { Query, RowsReply } from '../protocol/query';
import type { InventoryView } from '../protocol/views';
import { makeFilterMenu } from './filterMenu';

export interface ToolbarEvents {
  onQuery(change: Partial<Query>): void;
  onCollapse(): void;
  onExport(): void;
  onDetails(): void;
  /** From the search box into the table. */
  onEnterTable(): void;
}

export interface Toolbar {
  readonly root: HTMLElement;
  showFile(view: InventoryView): void;
  showQuery(query: Query): void;
  showReply(reply: RowsReply): void;
  showDetails(state: 'open' | 'closed'): void;
  focusSearch(): void;
}

const SEARCH_HELP = 'Words match anywhere. * and ? stand for any characters and one. /…/ is a regular expression.';

export function makeToolbar(events: ToolbarEvents): Toolbar {
  let tensorCount = 0;
  const search = element('input', {
    class: 'search-input',
    title: SEARCH_HELP,
    aria: { label: 'Search tensors', describedby: 'search-count' },
  });
  Object.assign(search, { type: 'text', placeholder: 'Search names, *.attn.* or /regex/', spellcheck: false, autocomplete: 'off' });
  const clear = tool('close', 'Clear the search', () => {
    events.onQuery({ search: '' });
    search.focus();
  });
  clear.classList.add('search-clear');
  const count = element('span', { class: 'search-count dim', id: 'search-count', role: 'status' });
  const box = element('div', { class: 'search' }, [icon('search'), search, clear]);
  const filters = makeFilterMenu((next) => events.onQuery({ filters: next }));
  const list = tool('list', 'List', () => events.onQuery({ form: 'list' }));
  const tree = tool('tree', 'Tree by parts of the names', () => events.onQuery({ form: 'tree' }));
  const collapse = tool('collapse', 'Collapse all groups', () => events.onCollapse());
  const details = tool('details', 'Details of the active tensor (Enter)', () => events.onDetails());

  search.addEventListener('input', () => events.onQuery({ search: search.value }));
  search.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && search.value !== '') events.onQuery({ search: '' });
    else if (event.key === 'ArrowDown' || event.key === 'Enter') events.onEnterTable();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  return {
    root: element('div', { class: 'toolbar' }, [
      element('div', { class: 'tools', role: 'toolbar', aria: { label: 'Table' } }, [
        box,
        count,
        filters.button,
        element('span', { class: 'segmented', role: 'group', aria: { label: 'Form' } }, [list, tree]),
        collapse,
        tool('export', 'Export as CSV or JSON', () => events.onExport()),
        details,
        filters.popup,
      ]),
      filters.chips,
    ]),
    showFile(view) {
      tensorCount = view.tensorCount;
      filters.showFile(view);
    },
    showQuery(query) {
      if (search.value !== query.search) search.value = query.search;
      clear.hidden = query.search === '';
      filters.show(query.filters);
      list.setAttribute('aria-pressed', String(query.form === 'list'));
      tree.setAttribute('aria-pressed', String(query.form === 'tree'));
      collapse.hidden = query.form !== 'tree';
    },
    showReply({ tensors, bytes, problem }) {
      box.classList.toggle('invalid', problem !== undefined);
      search.setAttribute('aria-invalid', String(problem !== undefined));
      const filtered = tensors !== tensorCount;
      setText(count, problem ?? (filtered ? `${formatInteger(tensors)} of ${formatInteger(tensorCount)} · ${formatBytes(bytes)}` : ''));
      count.title = count.textContent;
    },
    showDetails(state) {
      details.setAttribute('aria-pressed', String(state === 'open'));
    },
    focusSearch() {
      search.focus();
      search.select();
    },
  };
}

export function tool(name: IconName, label: string, onPress: () => void): HTMLButtonElement {
  const button = element('button', { class: 'tool', title: label, aria: { label } }, [icon(name)]);
  button.type = 'button';
  button.addEventListener('click', onPress);
  return button;
}
