/** The addon's interface, in one place. Its C++ twin is native/src/napi. */
import type { QuantizerDevice, QuantizerEvent, QuantizerJob } from '../job/quantizer';

export interface NativeBinding {
  readonly version: string;
  devices(): QuantizerDevice[];
  /**
   * Starts the job on threads of its own and returns at once. `onEvents` is called on the JavaScript thread with batches,
   * in order; the last call carries `end`, after which nothing of the job is running and no file is open.
   */
  startJob(job: QuantizerJob, onEvents: (events: QuantizerEvent[], end?: NativeEnd) => void): NativeJob;
}

export interface NativeJob {
  /** Asks the job to stop; `onEvents` then gets `end` within a second. Harmless after the end. */
  cancel(): void;
}

export type NativeEnd =
  | { readonly type: 'done'; readonly peakDeviceMemoryBytes?: number; readonly deviceBusySeconds?: number }
  | { readonly type: 'cancelled' }
  | { readonly type: 'failed'; readonly code: NativeErrorCode; readonly message: string; readonly tensor?: string; readonly path?: string };

/** The codes of the C++ core's one error type; each is also an EngineErrorCode. */
export type NativeErrorCode =
  | 'FileNotFound'
  | 'PermissionDenied'
  | 'DiskFull'
  | 'FileChanged'
  | 'DeviceUnavailable'
  | 'DeviceFailed'
  | 'OutOfMemory'
  | 'Io'
  | 'Internal';
