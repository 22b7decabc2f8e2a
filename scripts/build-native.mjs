// Builds the native addon, build/Release/fp8.node, through cmake-js; does next to nothing when it is up to date.
// Options: --cuda=auto|on|off (or FP8_CUDA in the environment), --cuda-architectures=LIST (or FP8_CUDA_ARCHITECTURES; semicolons between, "all"
// for packages, else those of this machine's GPUs), --verbose.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ownCudaArchitectures } from './setup/cudaArchitectures.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'build');
const addon = join(folder, 'Release', 'fp8.node');

const { values: options } = parseArgs({
  options: {
    cuda: { type: 'string', default: process.env.FP8_CUDA ?? 'auto' },
    'cuda-architectures': { type: 'string', default: process.env.FP8_CUDA_ARCHITECTURES ?? '' },
    verbose: { type: 'boolean', default: false },
  },
});

process.exitCode = build();

/** @returns {number} the exit code */
function build() {
  const missing = missingPrograms();
  if (missing.length > 0) {
    console.error(`The native addon needs ${missing.join(', ')}. On Debian and Ubuntu:\n  ${installCommand(missing)}`);
    return 1;
  }
  // Both always, for CMake would go on with those of the build before.
  const definitions = [
    `--CDFP8_CUDA=${options.cuda.toUpperCase()}`,
    `--CDFP8_CUDA_ARCHITECTURES=${options['cuda-architectures'] || ownCudaArchitectures()}`,
  ];
  forgetOtherConfiguration();
  const cmakeJs = join(root, 'node_modules', 'cmake-js', 'bin', 'cmake-js');
  if (!existsSync(cmakeJs)) {
    console.error('node_modules is missing: run `npm ci` first.');
    return 1;
  }
  if (options['cuda-architectures'] === 'all') {
    console.log('Building the native part for every GPU that is supported: minutes, where it has to be compiled anew.');
  }
  // `configure` is what sees changed options and versions; it costs under a second when nothing changed.
  for (const command of ['configure', 'build']) {
    const status = run(process.execPath, [
      cmakeJs,
      command,
      '-O',
      folder,
      '-G',
      'Ninja',
      '--parallel',
      String(availableParallelism()),
      ...definitions,
    ]);
    if (status !== 0) return status;
  }
  if (!existsSync(addon)) {
    console.error(`The build ended without ${addon}. Remove the folder build/ and try again; --verbose shows every command.`);
    return 1;
  }
  return 0;
}

function missingPrograms() {
  return ['cmake', 'ninja', 'g++'].filter((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).error !== undefined);
}

/** @param {readonly string[]} programs */
function installCommand(programs) {
  const packages = programs.map((name) => (name === 'ninja' ? 'ninja-build' : name));
  return `sudo apt-get install -y --no-install-recommends ${packages.join(' ')} libopenblas-dev libhwy-dev`;
}

/** CMake refuses a build folder made by another generator or for sources elsewhere, for example after the checkout moved: start it afresh. */
function forgetOtherConfiguration() {
  const cache = join(folder, 'CMakeCache.txt');
  if (!existsSync(cache)) return;
  const text = readFileSync(cache, 'utf8');
  const value = (/** @type {string} */ name) => new RegExp(`^${name}:[A-Z]+=(.*)$`, 'm').exec(text)?.[1];
  const same = value('CMAKE_HOME_DIRECTORY') === root.replace(/\/$/, '') && value('CMAKE_GENERATOR') === 'Ninja';
  if (!same) for (const entry of ['CMakeCache.txt', 'CMakeFiles']) rmSync(join(folder, entry), { recursive: true, force: true });
}

/**
 * Output is shown as it comes with --verbose, and otherwise only when the command fails.
 * @param {string} program @param {readonly string[]} parameters
 */
function run(program, parameters) {
  const { status, stdout, stderr, error } = spawnSync(program, parameters, {
    cwd: root,
    stdio: options.verbose ? 'inherit' : 'pipe',
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  });
  if (error) console.error(error.message);
  if (status !== 0 && !options.verbose) console.error(`${stdout}${stderr}`);
  return status ?? 1;
}
