/** The head of the inventory: what the file is, and its bytes by dtype. */
import { formatBytes, formatCount, formatInteger, formatPercent } from '../../base/format';
import { element } from '../dom';
import type { DtypeShare, InventoryView } from '../protocol/views';
import { dtypeColor } from './dtypeColor';
import { makeArchitecture, makeMetadata, type MetadataEvents } from './metadata';

export interface SummaryEvents extends MetadataEvents {
  onDtype(dtype: string): void;
}

export function makeSummary(view: InventoryView, events: SummaryEvents): HTMLElement {
  return element('header', { class: 'summary' }, [
    element('div', { class: 'title' }, [element('h1', { text: view.fileName, title: `${view.directory}/${view.fileName}` })]),
    element('dl', { class: 'facts' }, [
      fact('Size', formatBytes(view.fileSize), `${formatInteger(view.fileSize)} bytes`),
      fact(view.parameters === 1 ? 'Parameter' : 'Parameters', formatCount(view.parameters), formatInteger(view.parameters)),
      fact(view.tensorCount === 1 ? 'Tensor' : 'Tensors', formatInteger(view.tensorCount)),
      ...(view.fileCount > 1 ? [fact('Shards', formatInteger(view.fileCount))] : []),
    ]),
    ...(view.dtypes.length > 0 ? [dtypeBar(view.dtypes), dtypeLegend(view.dtypes, events)] : []),
    element('div', { class: 'folds' }, [
      ...(view.architecture === undefined ? [] : [makeArchitecture(view.architecture)]),
      ...(view.metadata.length === 0 ? [] : [makeMetadata(view.metadata, events)]),
    ]),
  ]);
}

function fact(label: string, value: string, title?: string): HTMLElement {
  return element('div', { class: 'fact' }, [
    element('dt', { text: label }),
    element('dd', { text: value, ...(title === undefined ? undefined : { title }) }),
  ]);
}

function dtypeBar(dtypes: readonly DtypeShare[]): HTMLElement {
  const total = dtypes.reduce((sum, share) => sum + share.bytes, 0);
  const label = dtypes.map((share) => `${share.dtype} ${formatBytes(share.bytes)}`).join(', ');
  return element(
    'div',
    { class: 'dtype-bar', role: 'img', aria: { label: `Bytes by type: ${label}` } },
    dtypes
      .filter((share) => share.bytes > 0)
      .map((share) => {
        const segment = element('span', { class: 'segment', title: describe(share, total) });
        segment.style.flexGrow = String(share.bytes / total);
        segment.style.backgroundColor = dtypeColor(share.dtype);
        return segment;
      }),
  );
}

function dtypeLegend(dtypes: readonly DtypeShare[], events: SummaryEvents): HTMLElement {
  const total = dtypes.reduce((sum, share) => sum + share.bytes, 0);
  return element(
    'ul',
    { class: 'legend', aria: { label: 'Types' } },
    dtypes.map((share) => {
      const swatch = element('span', { class: 'swatch', aria: { hidden: 'true' } });
      swatch.style.backgroundColor = dtypeColor(share.dtype);
      const button = element('button', { class: 'legend-item', title: `${describe(share, total)}. Show only these` }, [
        swatch,
        element('span', { class: 'legend-name', text: share.dtype }),
        element('span', { class: 'legend-value', text: formatBytes(share.bytes) }),
      ]);
      button.type = 'button';
      button.addEventListener('click', () => events.onDtype(share.dtype));
      return element('li', {}, [button]);
    }),
  );
}

function describe(share: DtypeShare, total: number): string {
  const tensors = share.tensors === 1 ? '1 tensor' : `${formatInteger(share.tensors)} tensors`;
  return `${share.dtype}: ${tensors}, ${formatBytes(share.bytes)}, ${formatPercent(total === 0 ? 0 : share.bytes / total)} of the data`;
}
