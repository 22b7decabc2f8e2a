/** EngineService: the engine process's side of EngineApi. The addon is loaded when it is first needed. */
import { rmSync } from 'node:fs';
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

  /** The last resort where a job does not stop in time. */
  removeTemporaryFiles(): void {
    for (const path of this.#temporaryPaths) rmSync(path, { force: true });
  }

  #loaded(): NativeQuantizer {
    this.#quantizer ??= new NativeQuantizer(loadBinding(this.bundleFolder));
    return this.#quantizer;
  }
}
