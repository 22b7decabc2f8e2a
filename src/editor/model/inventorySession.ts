/** InventorySession: the part of a webview's session that is about the tensors of its file. */
import * as vscode from 'vscode';
import { inTurns } from '../../base/slices';
import { EngineError } from '../../engine/errors';
import type { CompareEvent, CompareRequest } from '../../engine/inspect/compareEvent';
import type { InspectEvent, InspectRequest, PreviewEvent, PreviewRequest } from '../../engine/inspect/inspectEvent';
import { tensorParameters } from '../../engine/inspect/parameters';
import type { Recipe } from '../../engine/plan/recipe';
import { plannedTensors } from '../../engine/plan/stored/plannedTensors';
import type { InspectionView, RoundingPreviewView } from '../../webview/protocol/inspection';
import {
  FIRST_ROWS,
  MAX_ROWS_PER_REQUEST,
  type ExportRequest,
  type InventoryApi,
  type LocateRequest,
  type RowsRequest,
  type SelectionView,
  type TensorRequest,
  type TensorsRequest,
} from '../../webview/protocol/inventoryApi';
import type { Query, RowsReply } from '../../webview/protocol/query';
import { problemOf } from '../conversion/remedies';
import { exportInventory } from './exportInventory';
import { openHex } from './hexView';
import { Inventory } from './inventory';
import type { ListedTensor } from './listedTensor';
import type { ModelDocument, ModelState } from './modelDocument';

/** The part of the engine that looks into files. */
export interface Inspector {
  inspect(request: InspectRequest, signal: AbortSignal): AsyncIterable<InspectEvent>;
  preview(request: PreviewRequest, signal: AbortSignal): AsyncIterable<PreviewEvent>;
  compare(request: CompareRequest, signal: AbortSignal): AsyncIterable<CompareEvent>;
}

export interface InventoryServices {
  readonly inspector: Inspector;
  /** What a conversion of the file would use now. */
  wanted(uri: vscode.Uri): { readonly recipe: Recipe; readonly device: string; readonly threads: number };
}

const IDLE_MILLISECONDS = 300;

/** It is done in a moment, whoever is still there. */
const NEVER = new AbortController().signal;

const NO_ROWS: RowsReply = { count: 0, tensors: 0, bytes: 0, rows: [] };

type KnownFile = Extract<ModelState, { readonly kind: 'valid' | 'listed' }>;

export class InventorySession implements InventoryApi {
  #current: { readonly state: KnownFile; readonly inventory: Inventory } | undefined;

  #planning: NodeJS.Timeout | undefined;

  constructor(
    private readonly document: ModelDocument,
    private readonly services: InventoryServices,
  ) {}

  /** The first rows are on the screen: there is time for what is asked next. */
  drawn(): void {
    this.#planWhenIdle();
  }

  firstRows(revision: number, query: Query): Promise<RowsReply> {
    return this.rows({ revision, query, start: 0, end: FIRST_ROWS });
  }

  /** Planning takes turns with everything else, but whoever types or scrolls at once goes first. */
  #planWhenIdle(): void {
    clearTimeout(this.#planning);
    this.#planning = setTimeout(() => {
      this.#planning = undefined;
      void this.#prepare();
    }, IDLE_MILLISECONDS);
  }

  async #prepare(): Promise<void> {
    const current = this.#at(this.document.state.value.revision);
    // What the names alone decide outlives the plan.
    if (current !== undefined) await inTurns(current.inventory.prepare(), NEVER);
    await this.document.plan();
  }

  async rows({ revision, query, start, end }: RowsRequest): Promise<RowsReply> {
    if (this.#planning !== undefined) this.#planWhenIdle();
    return this.#at(revision)?.inventory.rows(query, start, Math.min(end, start + MAX_ROWS_PER_REQUEST)) ?? NO_ROWS;
  }

  async locate({ revision, query, row }: LocateRequest): Promise<number> {
    return this.#at(revision)?.inventory.locate(query, row) ?? -1;
  }

  async tensors({ revision, query, start, end }: RowsRequest): Promise<readonly number[]> {
    return this.#at(revision)?.inventory.tensors(query, start, end) ?? [];
  }

  async names({ revision, tensors }: TensorsRequest): Promise<readonly string[]> {
    const inventory = this.#at(revision)?.inventory;
    return tensors.flatMap((tensor) => inventory?.tensor(tensor)?.source.name ?? []);
  }

  async selection({ revision, tensors }: TensorsRequest): Promise<SelectionView> {
    const current = this.#at(revision);
    const sources = tensors.flatMap((tensor) => current?.inventory.tensor(tensor)?.source ?? []);
    return {
      tensors: sources.length,
      bytes: sources.reduce((sum, { begin, end }) => sum + end - begin, 0),
      parameters: current === undefined ? 0 : sources.reduce((sum, source) => sum + tensorParameters(source, current.state.header), 0),
    };
  }

  async copyNames(request: TensorsRequest): Promise<void> {
    const names = await this.names(request);
    if (names.length > 0) await vscode.env.clipboard.writeText(names.join('\n'));
  }

  async metadataValue(key: string): Promise<string> {
    const state = this.document.state.value;
    return 'header' in state ? (state.header.metadata.get(key) ?? '') : '';
  }

  async exportInventory({ revision, query }: ExportRequest): Promise<void> {
    if (this.#at(revision) === undefined) return;
    // The rows are the same ones, whether or not there was a plan.
    await this.document.plan();
    const current = this.#at(this.document.state.value.revision);
    if (current === undefined) return;
    const { inventory } = current;
    const everything = { ...query, form: 'list' } as const;
    const tensors = inventory.tensors(everything, 0, Infinity).flatMap((index) => {
      const tensor = inventory.tensor(index);
      return tensor?.action === undefined ? [] : [tensor];
    });
    await exportInventory(this.document.uri, current.state.header, tensors);
  }

  async openHex({ revision, tensor }: TensorRequest): Promise<void> {
    const planned = this.#at(revision)?.inventory.tensor(tensor);
    if (planned !== undefined) await openHex(this.document.uri, planned.source);
  }

  async *inspect({ revision, tensor }: TensorRequest, signal: AbortSignal): AsyncGenerator<InspectionView, void, undefined> {
    const planned = this.#at(revision)?.inventory.tensor(tensor);
    if (planned === undefined) return;
    const { threads } = this.services.wanted(this.document.uri);
    const request = { path: this.document.uri.fsPath, tensor: planned.source.name, threads };
    for await (const event of this.services.inspector.inspect(request, signal)) {
      if (event.type === 'cancelled') return;
      yield event.type === 'done' ? { phase: 'done', statistics: event.statistics } : unfinishedView(event);
    }
  }

  async *previewRounding({ revision, tensor }: TensorRequest, signal: AbortSignal): AsyncGenerator<RoundingPreviewView, void, undefined> {
    const planned = this.#at(revision)?.inventory.tensor(tensor);
    if (planned === undefined) return;
    const state = this.document.state.value;
    if (state.kind === 'valid' && state.problem !== undefined) {
      const { text, remedies } = problemOf(state.problem);
      const lacksFile = remedies.some(({ kind }) => kind === 'browse');
      yield { phase: 'failed', message: text, ...(lacksFile ? { lacks: 'calibration file' } : undefined) };
      return;
    }
    const { recipe, device, threads } = this.services.wanted(this.document.uri);
    const request = { path: this.document.uri.fsPath, tensor: planned.source.name, threads, recipe, device };
    for await (const event of this.services.inspector.preview(request, signal)) {
      if (event.type === 'cancelled') return;
      yield event.type === 'done' ? { phase: 'done', preview: event.preview } : unfinishedView(event);
    }
  }

  /** `undefined` where the webview asks about a file that has changed since: it hears of the change by itself. */
  #at(revision: number): { readonly state: KnownFile; readonly inventory: Inventory } | undefined {
    const state = this.document.state.value;
    if (!('header' in state) || state.revision !== revision) return undefined;
    const before = this.#current;
    if (before?.state === state) return before;
    const tensors = listed(state);
    const inventory = before?.state.header === state.header ? before.inventory.withDecisions(tensors) : new Inventory(tensors, state.files);
    this.#current = { state, inventory };
    return this.#current;
  }
}

function listed(state: KnownFile): readonly ListedTensor[] {
  switch (state.kind) {
    case 'valid':
      return plannedTensors(state.header, state.plan);
    case 'listed':
      return state.header.tensors.map((source) => ({ source }));
  }
}

type Unfinished = Exclude<InspectEvent, { readonly type: 'done' | 'cancelled' }>;

function unfinishedView(event: Unfinished): Exclude<InspectionView, { readonly phase: 'done' }> {
  switch (event.type) {
    case 'progress':
      return { phase: 'running', fraction: event.fraction };
    case 'failed':
      return { phase: 'failed', message: EngineError.from(event.error).message };
  }
}
