/** NativeQuantizer: the addon as a Quantizer, its callbacks as an async iterable. */
import { AsyncQueue } from '../../base/asyncQueue';
import { EngineError } from '../errors';
import type { Quantizer, QuantizerDevice, QuantizerEvent, QuantizerJob } from '../job/quantizer';
import type { NativeBinding, NativeEnd } from './binding';

export class NativeQuantizer implements Quantizer {
  constructor(private readonly binding: NativeBinding) {}

  devices(): Promise<readonly QuantizerDevice[]> {
    return Promise.resolve(this.binding.devices());
  }

  /** However the iteration ends, nothing of the job is running and no file is open afterwards. */
  async *run(job: QuantizerJob, signal: AbortSignal): AsyncGenerator<QuantizerEvent, void, undefined> {
    signal.throwIfAborted();
    const events = new AsyncQueue<QuantizerEvent>();
    let markStopped: () => void = () => undefined;
    const stopped = new Promise<void>((resolve) => {
      markStopped = resolve;
    });
    const running = this.binding.startJob(job, (batch, end) => {
      for (const event of batch) events.push(event);
      if (end === undefined) return;
      finish(events, end);
      markStopped();
    });
    const cancel = (): void => running.cancel();
    signal.addEventListener('abort', cancel);
    try {
      yield* events;
    } finally {
      signal.removeEventListener('abort', cancel);
      if (!events.ended) cancel();
      await stopped;
    }
  }
}

function finish(events: AsyncQueue<QuantizerEvent>, end: NativeEnd): void {
  switch (end.type) {
    case 'done': {
      events.push({ ...end, type: 'finished' });
      events.end();
      break;
    }
    case 'cancelled':
      events.fail(new EngineError('Cancelled', 'The job was cancelled.'));
      break;
    case 'failed': {
      const { code, message, tensor, path } = end;
      const details = { ...(tensor === undefined ? {} : { tensor }), ...(path === undefined ? {} : { path }) };
      events.fail(new EngineError(code, message, details));
      break;
    }
  }
}
