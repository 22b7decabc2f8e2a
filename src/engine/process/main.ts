/** The engine process: serves EngineApi to the process that forked it, and lives no longer than that one. */
import { version } from '../../base/version';
import { serve } from '../../rpc/server';
import type { EngineApi } from './api';
import { engineErrorCodec } from './engineErrors';
import { EngineService } from './engineService';
import { ipcPort } from './ipcPort';

/** How long running jobs may take to stop and clean up once the parent is gone. */
const GRACE_MS = 2000;

if (process.send === undefined) {
  process.stderr.write('This is a part of fp8 that is started by it. Start fp8 instead.\n');
  process.exit(2);
}

// A Ctrl-C in a terminal, and its closing, reach every process of it: what they mean to a job is for the parent to say.
process.on('SIGINT', () => undefined);
process.on('SIGHUP', () => undefined);

const service = new EngineService(__dirname, version);
serve<EngineApi>(ipcPort(process), service, engineErrorCodec);

// With the channel closed only a running job keeps the process alive. It has been aborted, cleans up, and the process ends by itself.
process.once('disconnect', () => {
  setTimeout(() => {
    service.removeTemporaryFiles();
    process.kill(process.pid, 'SIGKILL');
  }, GRACE_MS).unref();
});
