/** The comparison's page: two files, how far the comparison is, and their tensors, the worst first. */
import { RpcClient } from '../../rpc/client';
import { formatInteger, formatPercent, formatProgress, formatSeconds, formatThroughput, formatTimeLeft } from '../../base/format';
import { element, setText } from '../dom';
import { icon } from '../icons';
import { openMenu, type MenuPlace } from '../menu';
import { tool } from '../inventory/toolbar';
import type {
  ComparedFile,
  ComparisonApi,
  ComparisonCommand,
  ComparisonOrder,
  ComparisonRow,
  ComparisonRows,
  ComparisonView,
} from '../protocol/comparisonApi';
import { PAGE_ROWS, RowSource } from '../table/rowSource';
import { makeSortHeader } from '../table/sortHeader';
import { VirtualTable } from '../table/virtualTable';
import { makeTaskStatus, type TaskStatus } from '../tensor/taskStatus';
import { button } from '../ui';
import { hostPort, saveComparisonState } from '../webviewApi';
import { COLUMNS, makeComparisonRow, STATE_LABELS } from './columns';

/** Shown as what it is for most rows: the largest errors first. */
const WORST: ComparisonOrder = { column: 'worst', direction: 'descending' };
const WORST_SHOWN_AS = 'relative';
const COUNTED = ['changed', 'added', 'removed', 'reshaped', 'incomparable', 'equal'] as const;

export async function showComparison(): Promise<void> {
  const host = new RpcClient<ComparisonApi>(hostPort);
  const page = new ComparisonPage(host);
  document.body.replaceChildren(page.root);
  for await (const view of host.stream('comparison', undefined)) page.show(view);
}

class ComparisonPage {
  readonly root = element('main', { class: 'inventory comparison' });
  readonly #title = element('h1');
  readonly #files = element('dl', { class: 'compare-files' });
  readonly #status = element('div', { class: 'compare-status' });
  readonly #counts = element('ul', { class: 'totals', aria: { label: 'Differences' } });
  readonly #search = element('input', { class: 'search-input', aria: { label: 'Search tensors' } });
  readonly #found = element('span', { class: 'search-count dim', role: 'status' });
  readonly #header = makeSortHeader(COLUMNS, { order: WORST, shownAs: WORST_SHOWN_AS }, (order) => {
    this.#order = order;
    void this.#ask();
  });
  readonly #table: VirtualTable<ComparisonRow>;
  #running: TaskStatus | undefined;
  #order = WORST;
  #asking = new AbortController();
  #view: ComparisonView | undefined;

  constructor(private readonly host: RpcClient<ComparisonApi>) {
    this.#table = new VirtualTable(
      { label: 'Compared tensors', columns: COLUMNS.length, header: this.#header.root, makeRow: makeComparisonRow },
      {
        onActivate: () => undefined,
        onScroll: () => undefined,
        onOpen: () => undefined,
        onMenu: (index, at) => this.#openMenu(index, at),
        onKey: (event) => this.#onKey(event),
        isSelected: (index) => index === this.#table.activeIndex,
        onComplete: () => undefined,
      },
    );
    Object.assign(this.#search, { type: 'text', placeholder: 'Search names, *.attn.* or /regex/', spellcheck: false });
    this.#search.addEventListener('input', () => void this.#ask());
    this.root.append(
      element('header', { class: 'summary' }, [
        element('div', { class: 'compare-head' }, [
          element('div', {}, [this.#title, this.#files]),
          button({
            label: 'Swap',
            appearance: 'secondary',
            title: 'Take the other file as the reference',
            onPress: () => this.#do('swap'),
          }),
        ]),
        this.#status,
      ]),
      element('div', { class: 'totals-row' }, [this.#counts]),
      element('div', { class: 'toolbar' }, [
        element('div', { class: 'tools', role: 'toolbar', aria: { label: 'Table' } }, [
          element('div', { class: 'search' }, [icon('search'), this.#search]),
          this.#found,
          tool('export', 'Export as CSV', () => this.#do('export')),
        ]),
      ]),
      element('div', { class: 'work' }, [element('div', { class: 'table-box' }, [this.#table.root])]),
    );
  }

  show(view: ComparisonView): void {
    const before = this.#view;
    this.#view = view;
    if (before?.reference.path !== view.reference.path || before.other.path !== view.other.path) {
      saveComparisonState({ reference: view.reference.path, other: view.other.path });
      setText(this.#title, `${view.reference.fileName} ↔ ${view.other.fileName}`);
      this.#files.replaceChildren(
        ...this.#file('Reference', view.reference, 'openReference'),
        ...this.#file('Compared', view.other, 'openOther'),
      );
    }
    this.#showPhase(view);
    this.#counts.replaceChildren(
      ...COUNTED.filter((state) => view.counts[state] > 0).map((state) => {
        const item = element('li', { class: 'total' }, [
          element('span', { class: 'mark', aria: { hidden: 'true' } }),
          element('span', { text: STATE_LABELS[state] }),
          element('span', { class: 'total-count', text: formatInteger(view.counts[state]) }),
        ]);
        item.dataset['state'] = state;
        return item;
      }),
    );
    void this.#ask();
  }

  #file(label: string, { path }: ComparedFile, command: ComparisonCommand): readonly HTMLElement[] {
    const words = element('bdi', { text: path });
    words.dir = 'ltr';
    const open = element('button', { class: 'link', title: `Open ${path}` }, [words]);
    open.type = 'button';
    open.addEventListener('click', () => this.#do(command));
    return [element('dt', { text: label }), element('dd', {}, [open])];
  }

  #showPhase({ phase }: ComparisonView): void {
    if (phase.phase === 'running') {
      if (this.#running === undefined) {
        this.#running = makeTaskStatus('Comparing', () => this.#do('cancel'));
        this.#status.replaceChildren(this.#running.root);
      }
      this.#running.show(phase.fraction);
      const rest = phase.remainingSeconds === undefined ? '' : ` · ${formatTimeLeft(phase.remainingSeconds)}`;
      this.#running.say(`Comparing ${formatProgress(phase.fraction)} · ${formatThroughput(phase.bytesPerSecond)}${rest}`);
      return;
    }
    this.#running = undefined;
    const again = element('button', { class: 'link', text: 'Compare Again' });
    again.type = 'button';
    again.addEventListener('click', () => this.#do('again'));
    this.#status.replaceChildren(element('span', { role: 'status' }, [`${unbroken(sentence(phase))} `, again]));
  }

  async #ask(): Promise<void> {
    this.#asking.abort();
    const asking = new AbortController();
    this.#asking = asking;
    const request = { order: this.#order, search: this.#search.value };
    const fetch = (start: number, end: number, signal: AbortSignal): Promise<ComparisonRows> =>
      this.host.request('comparisonRows', { ...request, start, end }, signal);
    const reply = await fetch(0, PAGE_ROWS, asking.signal).catch(() => undefined);
    if (reply === undefined || asking.signal.aborted) return;
    this.#header.show(this.#order);
    const isInvalid = reply.problem !== undefined;
    this.#search.parentElement?.classList.toggle('invalid', isInvalid);
    this.#search.setAttribute('aria-invalid', String(isInvalid));
    setText(
      this.#found,
      reply.problem ??
        (reply.count === this.#view?.tensors ? '' : `${formatInteger(reply.count)} of ${formatInteger(this.#view?.tensors ?? 0)}`),
    );
    const source = new RowSource<ComparisonRow>(
      async (start, end, signal) => (await fetch(start, end, signal)).rows,
      () => this.#table.refresh(),
      reply.rows,
    );
    const active = this.#table.activeIndex;
    this.#table.show({ source, count: reply.count, ...(active === undefined ? {} : { active }) });
    this.#table.root.classList.toggle('empty', reply.count === 0);
  }

  #openMenu(index: number, at: MenuPlace): void {
    const row = this.#table.row(index);
    if (row === undefined) return;
    this.#table.activate(index);
    openMenu(row.name, [{ label: 'Copy Name', keys: 'Ctrl+C', onPress: () => void this.host.request('copy', row.name) }], at);
  }

  #onKey(event: KeyboardEvent): boolean {
    const row = this.#table.activeRow;
    if (event.key !== 'c' || !(event.ctrlKey || event.metaKey) || row === undefined) return false;
    void this.host.request('copy', row.name);
    return true;
  }

  #do(command: ComparisonCommand): void {
    void this.host.request('comparisonCommand', command);
  }
}

/** A figure and its unit stay on one line. */
function unbroken(text: string): string {
  return text.replace(/(\d) (%|s|min|h)(?![\w])/g, '$1\u00a0$2');
}

function sentence(phase: Exclude<ComparisonView['phase'], { readonly phase: 'running' }>): string {
  switch (phase.phase) {
    case 'done':
      return phase.relativeError === 0
        ? `${phase.of === 'quantized' ? 'Every quantized value' : 'Every compared value'} is the same · ${formatSeconds(phase.seconds)}`
        : `Relative error of all ${phase.of === 'quantized' ? 'quantized tensors together, as in the report' : 'compared tensors together'}: ${formatPercent(phase.relativeError)} · ${formatSeconds(phase.seconds)}`;
    case 'failed':
      return phase.message;
    case 'cancelled':
      return 'Stopped.';
  }
}
