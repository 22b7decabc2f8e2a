/** What can be done with the selected tensors, or with one: each a request to the extension host. */
import type { RpcClient } from '../../rpc/client';
import type { EditorApi } from '../protocol/editorApi';
import type { ActionName } from '../protocol/views';

export interface ActionsContext {
  /** `undefined` before there is a file. */
  revision(): number | undefined;
  selected(): Promise<readonly number[]>;
  /** Why an override cannot be used; `undefined` where it can. */
  showProblem(problem: string | undefined): void;
}

export class TensorActions {
  constructor(
    private readonly host: RpcClient<EditorApi>,
    private readonly context: ActionsContext,
  ) {}

  copy(): void {
    void this.#withSelected((revision, tensors) => this.host.request('copyNames', { revision, tensors }));
  }

  showHex(tensor: number): void {
    void this.request((revision) => this.host.request('openHex', { revision, tensor }));
  }

  override(action: ActionName | 'reset'): void {
    void this.#withSelected(async (revision, tensors) => {
      const names = await this.host.request('names', { revision, tensors });
      this.context.showProblem(await this.host.request('setOverride', { target: { names }, action }));
    });
  }

  async #withSelected(ask: (revision: number, tensors: readonly number[]) => Promise<void>): Promise<void> {
    const tensors = await this.context.selected();
    if (tensors.length > 0) await this.request((revision) => ask(revision, tensors));
  }

  async request(ask: (revision: number) => Promise<void>): Promise<void> {
    const revision = this.context.revision();
    // A file that has just changed is drawn anew: what was asked about the old one has no answer.
    if (revision !== undefined) await ask(revision).catch(() => undefined);
  }
}
