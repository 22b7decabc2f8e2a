/** ModelDocument: one safetensors file as the editor knows it, its header and the plan for it, never its data. Follows the file on disk. */
import { basename } from 'node:path';
import * as vscode from 'vscode';
import { DisposableStore } from '../../base/disposableStore';
import { Observable, type ReadonlyObservable } from '../../base/observable';
import { version } from '../../base/version';
import { EngineError } from '../../engine/errors';
import { makePlan } from '../../engine/plan/makePlan';
import type { Plan } from '../../engine/plan/plan';
import type { Header } from '../../engine/safetensors/header';
import { readHeader } from '../../engine/safetensors/reader';
import { readSettings } from '../settings';

export type ModelState =
  | { readonly kind: 'valid'; readonly revision: number; readonly header: Header; readonly plan: Plan }
  | { readonly kind: 'invalid'; readonly revision: number; readonly error: EngineError };

/** A program that writes a file changes it many times in a row. */
const SETTLE_MILLISECONDS = 250;

export class ModelDocument implements vscode.CustomDocument {
  readonly #owned = new DisposableStore();
  readonly #state: Observable<ModelState>;
  #settling: NodeJS.Timeout | undefined;
  #reading = 0;

  static async open(uri: vscode.Uri): Promise<ModelDocument> {
    return new ModelDocument(uri, await readModel(uri, 1));
  }

  private constructor(
    readonly uri: vscode.Uri,
    state: ModelState,
  ) {
    this.#state = new Observable(state);
    this.#owned.add(
      vscode.workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration('fp8', uri)) void this.reload();
      }),
    );
    if (uri.scheme !== 'file') return;
    const watcher = this.#owned.add(
      vscode.workspace.createFileSystemWatcher(
        new vscode.RelativePattern(vscode.Uri.joinPath(uri, '..'), globLiteral(basename(uri.fsPath))),
      ),
    );
    for (const event of [watcher.onDidChange, watcher.onDidCreate, watcher.onDidDelete]) this.#owned.add(event(() => this.#settle()));
  }

  get state(): ReadonlyObservable<ModelState> {
    return this.#state;
  }

  async reload(): Promise<void> {
    const reading = ++this.#reading;
    const state = await readModel(this.uri, this.#state.value.revision + 1);
    // Of two readings at once, the one that began last knows the file best.
    if (reading === this.#reading) this.#state.value = state;
  }

  dispose(): void {
    clearTimeout(this.#settling);
    this.#owned.dispose();
  }

  #settle(): void {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => void this.reload(), SETTLE_MILLISECONDS);
  }
}

async function readModel(uri: vscode.Uri, revision: number): Promise<ModelState> {
  try {
    if (uri.scheme !== 'file') {
      throw new EngineError(
        'NotAFile',
        `This file is not on a disk of this machine (${uri.scheme}:). Save it to a folder, then open it there.`,
      );
    }
    const header = await readHeader(uri.fsPath);
    const plan = makePlan(header, readSettings(uri).recipe, { toolVersion: version });
    return { kind: 'valid', revision, header, plan };
  } catch (error) {
    return { kind: 'invalid', revision, error: EngineError.wrap(error, { path: uri.fsPath }) };
  }
}

/** A glob that matches this name alone. */
function globLiteral(name: string): string {
  return name.replace(/[[\]{}*?]/g, '[$&]');
}
