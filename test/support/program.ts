/** The program as users have it: the bundles of the command line and of the engine, made from the sources at hand, with the real addon. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import * as esbuild from 'esbuild';
import { version } from '../../package.json';

const ROOT = resolve(import.meta.dirname, '../..');
/** `FP8_NATIVE` names another build, as it does for the program. */
const ADDON = process.env['FP8_NATIVE'] ?? join(ROOT, 'build/Release/fp8.node');

export interface Program {
  readonly engineModule: string;
  readonly commandLine: string;
  readonly environment: NodeJS.ProcessEnv;
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Throws where the addon has not been built. Engines that are forked by this process find the addon as well. */
export async function bundleProgram(folder: string): Promise<Program> {
  if (!existsSync(ADDON)) throw new Error(`${ADDON} is missing. Build it with: npm run build:native`);
  await esbuild.build({
    absWorkingDir: ROOT,
    entryPoints: { engine: 'src/engine/process/main.ts', fp8: 'src/cli/main.ts' },
    outdir: folder,
    outExtension: { '.js': '.js' },
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    define: { FP8_VERSION: JSON.stringify(version) },
    logLevel: 'error',
  });
  process.env['FP8_NATIVE'] = ADDON;
  return {
    engineModule: join(folder, 'engine.js'),
    commandLine: join(folder, 'fp8.js'),
    environment: { ...process.env, FP8_NATIVE: ADDON },
  };
}

export interface RunOptions {
  readonly environment?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly uid?: number;
  /** Is given the process as soon as it runs. */
  readonly meanwhile?: (child: ChildProcess, output: () => string) => void;
}

/** Runs the command line to its end. */
export async function fp8(program: Program, words: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const { environment = {}, cwd, uid, meanwhile } = options;
  const child = spawn(process.execPath, [program.commandLine, ...words], {
    env: { ...program.environment, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  meanwhile?.(child, () => stdout);
  const code = await new Promise<number | null>((done) => child.once('close', done));
  return { code, stdout, stderr };
}

/** Polls; throws with `what` after a generous time. */
export async function eventually(what: string, condition: () => boolean | Promise<boolean>, milliseconds = 110_000): Promise<void> {
  const end = Date.now() + milliseconds;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`it did not come about that ${what}`);
    await new Promise((done) => setTimeout(done, 10));
  }
}
