/** EngineService: the engine process's side of EngineApi. The addon is loaded when it is first needed. */
import { rmSync } from 'node:fs';
import type { CompareEvent, CompareRequest } from '../inspect/compareEvent';
import type { InspectEvent, InspectRequest, PreviewEvent, PreviewRequest } from '../inspect/inspectEvent';
import { runCompare } from '../inspect/runCompare';
import { runInspect } from '../inspect/runInspect';
import { runPreview } from '../inspect/runPreview';
import type { QuantizerDevice } from '../job/quantizer';
import type { JobEvent } from '../job/jobEvent';
import { runJob } from '../job/runJob';
import { temporaryPathsOf } from '../job/partialOutput';
import { runVerify } from '../job/verify/runVerify';
import type { VerifyEvent, VerifyRequest } from '../job/verify/verifyEvent';
import { loadBinding } from '../native/loadBinding';
import { NativeQuantizer } from '../native/nativeQuantizer';
import type { ConvertParams, EngineApi } from './api';

export class EngineService implements EngineApi {
  readonly #temporaryPaths: string[] = [];
  #quantizer: NativeQuantizer | undefined;

  constructor(
    private readonly bundleFolder: string,
    private readonly toolVersion: string,
  ) {}

  devices(): Promise<readonly QuantizerDevice[]> {
    return this.#loaded().devices();
  }

  async *convert({ request, token }: ConvertParams, signal: AbortSignal): AsyncGenerator<JobEvent, void, undefined> {
    const quantizer = this.#loaded();
    this.#temporaryPaths.push(...temporaryPathsOf(request, token));
    yield* runJob(request, { quantizer, toolVersion: this.toolVersion, token }, signal);
  }

  async *verify(request: VerifyRequest, signal: AbortSignal): AsyncGenerator<VerifyEvent, void, undefined> {
    yield* runVerify(request, this.#loaded(), signal);
  }

  async *inspect(request: InspectRequest, signal: AbortSignal): AsyncGenerator<InspectEvent, void, undefined> {
    yield* runInspect(request, this.#loaded(), signal);
  }

  async *preview(request: PreviewRequest, signal: AbortSignal): AsyncGenerator<PreviewEvent, void, undefined> {
    yield* runPreview(request, this.#loaded(), this.toolVersion, signal);
  }

  async *compare(request: CompareRequest, signal: AbortSignal): AsyncGenerator<CompareEvent, void, undefined> {
    yield* runCompare(request, this.#loaded(), signal);
  }

  /** The last resort where a job does not stop in time. */
  removeTemporaryFiles(): void {
    for (const path of this.#temporaryPaths) rmSync(path, { recursive: true, force: true });
  }

  #loaded(): NativeQuantizer {
    this.#quantizer ??= new NativeQuantizer(loadBinding(this.bundleFolder));
    return this.#quantizer;
  }
}
