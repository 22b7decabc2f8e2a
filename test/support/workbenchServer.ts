/** A VS Code server of its own on 127.0.0.1, with folders of its own: nothing of the user's settings or extensions is seen or touched. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { processesRunning, processesWithEnvironment, signalled } from './processes';
import { temporaryFolder } from './temporaryFolder';

const startLimitSeconds = 180;

/** Quiet and the same on every machine: no welcome pages, no look-ups, no prompts. */
const settings = {
  'chat.disableAIFeatures': true,
  'extensions.autoCheckUpdates': false,
  'extensions.autoUpdate': false,
  'extensions.ignoreRecommendations': true,
  'git.enabled': false,
  'security.workspace.trust.enabled': false,
  'telemetry.telemetryLevel': 'off',
  'workbench.colorTheme': 'Default Dark Modern',
  'workbench.enableExperiments': false,
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.startupEditor': 'none',
};

export interface WorkbenchServerOptions {
  /** Folder of VS Code's server: it holds out/server-main.js. */
  readonly hostFolder: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** An extension to install before the start. */
  readonly vsix?: string;
  readonly parameters?: readonly string[];
}

export interface WorkbenchServer extends AsyncDisposable {
  readonly origin: string;
  /** Resolves when the server has ended. */
  readonly ended: Promise<void>;
  /** For workbenches that are opened from now on: an open one does not see the change. */
  setUserSettings(changes: Readonly<Record<string, unknown>>): Promise<void>;
  /** Process ids of the extension's engines that run in this server's workbenches. */
  engines(): Promise<readonly number[]>;
  /** The last lines that the server printed. */
  log(): Promise<string>;
}

export async function startWorkbenchServer(options: WorkbenchServerOptions): Promise<WorkbenchServer> {
  const folder = await temporaryFolder();
  try {
    return await startIn(folder.path, options, folder);
  } catch (error) {
    await folder[Symbol.asyncDispose]();
    throw error;
  }
}

async function startIn(folder: string, options: WorkbenchServerOptions, owned: AsyncDisposable): Promise<WorkbenchServer> {
  const settingsFile = join(folder, 'user/User/settings.json');
  await mkdir(join(folder, 'user/User'), { recursive: true });
  await mkdir(join(folder, 'extensions'));
  await mkdir(temporaryIn(folder));
  let current: Readonly<Record<string, unknown>> = settings;
  await writeFile(settingsFile, JSON.stringify(current));

  const main = join(options.hostFolder, 'out/server-main.js');
  const environment = { ...process.env, ...isolation(folder), ...options.environment };
  const folders = ['--server-data-dir', 'server', '--user-data-dir', 'user', '--extensions-dir', 'extensions'].map((value, index) =>
    index % 2 === 0 ? value : join(folder, value),
  );
  const shared = [...folders, '--accept-server-license-terms', '--disable-telemetry'];
  if (options.vsix !== undefined) await installExtension(options.vsix, [main, ...shared], environment);

  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const logFile = await open(join(folder, 'server.log'), 'w');
  const server = spawn(
    process.execPath,
    [main, ...shared, '--host', '127.0.0.1', '--port', String(port), '--without-connection-token', ...(options.parameters ?? [])],
    { env: environment, stdio: ['ignore', logFile.fd, logFile.fd] },
  );
  await logFile.close();
  const ended = new Promise<void>((resolve) => {
    server.once('exit', () => resolve());
    server.once('error', () => resolve());
  });
  const log = async () => withoutNoise(await readFile(join(folder, 'server.log'), 'utf8'));
  try {
    await waitUntilUp(origin, server);
  } catch (error) {
    const printed = await log();
    await end(server, ended, folder);
    throw new Error(`The VS Code server did not start:\n${printed}`, { cause: error });
  }
  return {
    origin,
    ended,
    log,
    engines: () => processesRunning(join(folder, 'extensions'), 'engine.js'),
    async setUserSettings(changes) {
      current = { ...current, ...changes };
      await writeFile(settingsFile, JSON.stringify(current));
    },
    async [Symbol.asyncDispose]() {
      await end(server, ended, folder);
      await owned[Symbol.asyncDispose]();
    },
  };
}

async function installExtension(vsix: string, command: readonly string[], environment: NodeJS.ProcessEnv): Promise<void> {
  try {
    await promisify(execFile)(process.execPath, [...command, '--install-extension', vsix], { env: environment });
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { readonly stdout?: string; readonly stderr?: string };
    throw new Error(`${vsix} could not be installed:\n${stdout}${withoutNoise(stderr)}`, { cause: error });
  }
}

/** The last lines, less what the server says about the compiled modules that this installation does without. */
function withoutNoise(text: string): string {
  const ofModules = /bindings file|spdlog|bindings\.js|vsda|tries: \[|node:internal|server-main\.js|^\s*[\]}]\s*$/;
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !ofModules.test(line));
  return lines.slice(-40).join('\n');
}

function isolation(folder: string): Readonly<Record<string, string>> {
  // Extension look-ups are refused at once instead of waiting for a name that may not resolve.
  const refused = 'http://127.0.0.1:9';
  return {
    EXTENSIONS_GALLERY: JSON.stringify({ serviceUrl: refused, itemUrl: refused, resourceUrlTemplate: refused }),
    XDG_CONFIG_HOME: join(folder, 'config'),
    XDG_DATA_HOME: join(folder, 'data'),
    XDG_CACHE_HOME: join(folder, 'cache'),
    // The server leaves its sockets behind.
    XDG_RUNTIME_DIR: temporaryIn(folder),
    TMPDIR: temporaryIn(folder),
  };
}

/** The folder for temporary files of all processes of a server, by which they are known. */
function temporaryIn(folder: string): string {
  return join(folder, 'tmp');
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

async function waitUntilUp(origin: string, server: ChildProcess): Promise<void> {
  const deadline = Date.now() + startLimitSeconds * 1000;
  while (Date.now() < deadline) {
    if (hasEnded(server)) throw new Error(`it ended with ${server.signalCode ?? String(server.exitCode)}`);
    const isUp = await fetch(`${origin}/version`).then(
      (response) => response.ok,
      () => false,
    );
    if (isUp) return;
    await sleep(100);
  }
  throw new Error(`no answer within ${startLimitSeconds} s`);
}

/** Its extension hosts outlive it, for their windows might come back: they end with it all the same, and so does what they started. */
async function end(server: ChildProcess, ended: Promise<void>, folder: string): Promise<void> {
  if (!hasEnded(server)) {
    server.kill('SIGTERM');
    await Promise.race([ended, sleep(5000, undefined, { ref: false })]);
    if (!hasEnded(server)) server.kill('SIGKILL');
    await ended;
  }
  for (const id of await processesWithEnvironment('TMPDIR', temporaryIn(folder))) signalled(id, 'SIGKILL');
}

function hasEnded(server: ChildProcess): boolean {
  return server.exitCode !== null || server.signalCode !== null || server.pid === undefined;
}
