/** The details of one tensor: what it is, what its values are like, and what rounding would do to it. Computed while it is shown, and no longer. */
import type { RpcClient } from '../../rpc/client';
import { formatBytes, formatInteger, formatPercent, formatSeconds, formatShape } from '../../base/format';
import { element } from '../dom';
import { keepFocus } from '../keepFocus';
import { ACTION_LABELS } from '../inventory/columns';
import { tool } from '../inventory/toolbar';
import type { EditorApi } from '../protocol/editorApi';
import type { CastLossView, PreviewResultView, RoundingPreviewView, StatisticsView } from '../protocol/inspection';
import type { TensorRequest } from '../protocol/inventoryApi';
import type { TensorRow } from '../protocol/query';
import type { InventoryView } from '../protocol/views';
import { button } from '../ui';
import { energyChart, histogramChart } from './charts';
import { formatValue } from './numbers';
import { makeTaskStatus } from './taskStatus';

/** Whoever runs through the table with a key pressed starts nothing. */
const SETTLE_MILLISECONDS = 150;

interface ShownTensor {
  readonly reading: number;
  readonly tensor: number;
  /** Of the plan that is shown now. */
  readonly request: TensorRequest;
  readonly statistics: HTMLElement;
}

export class Details {
  readonly root = element('aside', { class: 'details', aria: { label: 'Details of the tensor' } });
  #shown: ShownTensor | undefined;
  #abort = new AbortController();
  #previewing = new AbortController();
  #settling: number | undefined;

  constructor(
    private readonly host: RpcClient<EditorApi>,
    private readonly onClose: () => void,
  ) {
    this.root.hidden = true;
    this.root.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape') return;
      event.stopPropagation();
      onClose();
    });
  }

  /** `undefined` where no tensor is active. Another plan for the same file changes nothing of its values: they are not read again. */
  show({ revision, reading }: Pick<InventoryView, 'revision' | 'reading'>, row: TensorRow | undefined): void {
    const shown = this.#shown;
    const isSame = row !== undefined && shown?.reading === reading && shown.tensor === row.tensor;
    if (isSame && shown.request.revision === revision) return;
    if (!isSame) this.hide();
    this.root.hidden = false;
    if (row === undefined) {
      this.root.replaceChildren(
        this.#head('Details', ''),
        element('p', { class: 'dim details-empty', text: 'Choose a tensor to look into it.' }),
      );
      return;
    }
    const request = { revision, tensor: row.tensor };
    const statistics = isSame ? shown.statistics : element('div', { class: 'details-statistics' });
    statistics.tabIndex = -1;
    const preview = this.#makePreview(request);
    this.#shown = { reading, tensor: row.tensor, request, statistics };
    // It was of the recipe before.
    this.#previewing.abort();
    this.#previewing = new AbortController();
    const { scrollTop } = this.root;
    const parts = [
      this.#head(row.name, row.name),
      facts([
        ['Type', row.targetDtype === undefined ? row.dtype : `${row.dtype} → ${row.targetDtype}`],
        ['Shape', row.shape],
        ['Size', formatBytes(row.bytes)],
        ...(row.shard === undefined ? [] : [['Shard', row.shard] as const]),
        ...(row.action === undefined ? [] : [['Planned', `${ACTION_LABELS[row.action]}: ${row.reason}`, 'sentence'] as const]),
        ...(row.steering === undefined ? [] : [['Steered by', row.steering, 'sentence'] as const]),
      ]),
      element('div', { class: 'details-actions' }, [
        link('Copy Name', () => void this.host.request('copyNames', { revision, tensors: [row.tensor] })),
        link('Show as Hex', () => void this.host.request('openHex', request)),
        ...(row.action === 'quantize' ? [preview.start] : []),
      ]),
      ...(row.action === 'quantize' ? [preview.result] : []),
      statistics,
    ];
    keepFocus(
      this.root,
      () => this.root.replaceChildren(...parts),
      () => [preview.start, this.root.querySelector<HTMLElement>('.tool')],
    );
    if (isSame) this.root.scrollTop = scrollTop;
    else this.#settling = window.setTimeout(() => void this.#inspect(statistics), SETTLE_MILLISECONDS);
  }

  /** What is being computed is cancelled. */
  hide(): void {
    window.clearTimeout(this.#settling);
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#previewing.abort();
    this.#shown = undefined;
    this.root.hidden = true;
  }

  #head(text: string, title: string): HTMLElement {
    const close = tool('close', 'Close the details (Escape)', this.onClose);
    return element('div', { class: 'details-head' }, [element('h2', { text, title }), close]);
  }

  async #inspect(into: HTMLElement): Promise<void> {
    const { signal } = this.#abort;
    const request = this.#shown?.request;
    if (request === undefined) return;
    const stop = new AbortController();
    const status = makeTaskStatus('Reading the values', () => stop.abort());
    const show = (...parts: readonly HTMLElement[]): void =>
      keepFocus(
        into,
        () => into.replaceChildren(...parts),
        () => [into.querySelector<HTMLElement>(':scope > .link, .task-status > .link'), into],
      );
    show(status.root);
    try {
      for await (const view of this.host.stream('inspect', request, AbortSignal.any([signal, stop.signal]))) {
        if (view.phase === 'running') status.show(view.fraction);
        else if (view.phase === 'failed') show(message(view.message));
        else show(...statisticsParts(view.statistics));
      }
      if (stop.signal.aborted) show(link('Read the values', () => void this.#inspect(into)));
    } catch (error) {
      if (!signal.aborted) show(message(String(error)));
    }
  }

  /** The button stands beside the other actions; what comes of it, below them. */
  #makePreview(request: TensorRequest): Preview {
    const start = button({
      label: 'Preview Rounding',
      appearance: 'secondary',
      title: 'Round this tensor to FP8, nearest and learned, and compare; nothing is written',
      onPress: () => void this.#preview(preview, request),
    });
    const result = element('section', { class: 'details-preview', aria: { label: 'Rounding' } });
    result.hidden = true;
    result.tabIndex = -1;
    const preview = { start, result };
    return preview;
  }

  async #preview({ start, result }: Preview, request: TensorRequest): Promise<void> {
    const { signal } = this.#previewing;
    const stop = new AbortController();
    const status = makeTaskStatus('Rounding', () => stop.abort());
    const draw = (state: 'running' | 'ended', parts: readonly HTMLElement[]): void =>
      keepFocus(
        this.root,
        () => {
          start.hidden = state === 'running';
          result.hidden = parts.length === 0;
          result.replaceChildren(element('h3', { text: 'Rounding' }), ...parts);
        },
        () => [status.stop, result, start],
      );
    draw('running', [status.root]);
    try {
      for await (const view of this.host.stream('previewRounding', request, AbortSignal.any([signal, stop.signal]))) {
        if (view.phase === 'running') status.show(view.fraction);
        else draw('ended', view.phase === 'failed' ? this.#refusal(view) : previewParts(view.preview));
      }
      if (stop.signal.aborted) draw('ended', []);
    } catch (error) {
      if (!signal.aborted) draw('ended', [message(String(error))]);
    }
  }

  /** With the way out where there is one. */
  #refusal({ message: text, lacks }: Extract<RoundingPreviewView, { readonly phase: 'failed' }>): readonly HTMLElement[] {
    if (lacks === undefined) return [message(text)];
    const onPress = (): void => void this.host.request('panelCommand', 'browseCalibration');
    return [message(text), button({ label: 'Browse for a File…', appearance: 'secondary', onPress })];
  }
}

interface Preview {
  readonly start: HTMLElement;
  readonly result: HTMLElement;
}

function statisticsParts(view: StatisticsView): readonly HTMLElement[] {
  const finite = view.count - view.nanCount - view.infinityCount;
  const nonFinite = view.nanCount + view.infinityCount;
  const share = (count: number): string => (view.count === 0 ? '0' : `${formatInteger(count)} (${formatPercent(count / view.count)})`);
  return [
    ...(finite > 0 ? [histogramChart(view)] : []),
    facts([
      ['Minimum', formatValue(view.smallest)],
      ['Maximum', formatValue(view.largest)],
      ['Largest magnitude', formatValue(Math.max(Math.abs(view.smallest), Math.abs(view.largest)))],
      ['Mean', formatValue(view.mean)],
      ['Standard deviation', formatValue(view.deviation)],
      ['Zeros', share(view.zeroCount)],
      ['NaN and infinite', nonFinite === 0 ? 'none' : `${formatInteger(view.nanCount)} and ${formatInteger(view.infinityCount)}`],
      ...(view.scale === undefined ? [] : [['Multiplied by', formatValue(view.scale.value)] as const]),
      ...(view.scales === undefined ? [] : [['Multiplied by', `scales of ${formatShape(view.scales.shape)}`] as const]),
    ]),
    ...(view.columnEnergies.length > 1 ? [energyChart(view)] : []),
    element('section', {}, [
      element('h3', { text: 'As FP8 (E4M3)' }),
      facts([
        ['Scale', formatValue(view.fp8Scale)],
        ['Subnormal', loss(view.atScale, 'subnormal', view)],
        ['Become zero', loss(view.atScale, 'underflow', view)],
        ['Saturate', loss(view.atScale, 'saturated', view)],
        ['Without a scale', `${loss(view.unscaled, 'saturated', view)} saturate, ${loss(view.unscaled, 'underflow', view)} become zero`],
      ]),
    ]),
  ];
}

function loss(losses: CastLossView, kind: keyof CastLossView, { count }: StatisticsView): string {
  return count === 0 ? '0 %' : formatPercent(losses[kind] / count);
}

function previewParts(view: PreviewResultView): readonly HTMLElement[] {
  const name = view.rounding === 'learned' ? 'Learned' : 'TPEC';
  const verdict = view.keptNearest
    ? 'Learned rounding finds nothing better here: nearest is written.'
    : view.objectiveRatio === undefined
      ? 'Nearest rounding is exact already.'
      : `${name} rounding leaves ${formatPercent(view.objectiveRatio)} of nearest rounding’s error in the layer’s output.`;
  return [
    element('p', { text: verdict }),
    ...(view.rounding === 'learned' ? [element('p', { class: 'dim', text: basisOf(view) })] : []),
    facts([
      ['Weight error, nearest', formatPercent(view.nearestError)],
      [`Weight error, ${name.toLowerCase()}`, formatPercent(view.error)],
      ...(view.objectiveRatio === undefined
        ? []
        : [['Output error', `${formatPercent(view.objectiveRatio)} of nearest rounding’s`] as const]),
      ['Codes changed', formatPercent(view.changedShare)],
      ['Sweeps', formatInteger(view.sweeps)],
      ['Time', `${formatSeconds(view.seconds)} on the ${view.device === 'cpu' ? 'CPU' : 'GPU'}`],
    ]),
  ];
}

function basisOf({ basis, conversion }: PreviewResultView): string {
  const by = basis === 'calibration' ? 'Steered by the inputs in the calibration file' : 'Steered by the weights alone';
  if (conversion === 'same') return `${by}, as in the conversion.`;
  return `${by}. The conversion also sends samples through the model, which as a rule does better.`;
}

/** Of a sentence the whole row is. */
function facts(rows: readonly (readonly [label: string, value: string, length?: 'sentence'])[]): HTMLElement {
  return element(
    'dl',
    { class: 'details-facts' },
    rows.map(([label, value, length]) =>
      element('div', length === undefined ? {} : { class: length }, [element('dt', { text: label }), element('dd', { text: value })]),
    ),
  );
}

function link(label: string, onPress: () => void): HTMLElement {
  const made = element('button', { class: 'link', text: label });
  made.type = 'button';
  made.addEventListener('click', onPress);
  return made;
}

function message(text: string): HTMLElement {
  return element('p', { class: 'details-message', role: 'alert', text });
}
