/** EngineApi: what the engine process can be asked for. */
import type { CompareEvent, CompareRequest } from '../inspect/compareEvent';
import type { InspectEvent, InspectRequest, PreviewEvent, PreviewRequest } from '../inspect/inspectEvent';
import type { ConvertRequest } from '../job/convertRequest';
import type { JobEvent } from '../job/jobEvent';
import type { QuantizerDevice } from '../job/quantizer';
import type { VerifyEvent, VerifyRequest } from '../job/verify/verifyEvent';

export interface EngineApi {
  devices(): Promise<readonly QuantizerDevice[]>;
  convert(params: ConvertParams, signal: AbortSignal): AsyncIterable<JobEvent>;
  verify(request: VerifyRequest, signal: AbortSignal): AsyncIterable<VerifyEvent>;
  inspect(request: InspectRequest, signal: AbortSignal): AsyncIterable<InspectEvent>;
  preview(request: PreviewRequest, signal: AbortSignal): AsyncIterable<PreviewEvent>;
  compare(request: CompareRequest, signal: AbortSignal): AsyncIterable<CompareEvent>;
}

export interface ConvertParams {
  readonly request: ConvertRequest;
  /** Chosen by the client, who can find the job's temporary files by it after a crash. */
  readonly token: string;
}
