// `npm start`: sets the machine up, builds, and converts the bundled model; `npm start -- --input FILE ...` converts that file, and other options
// change what becomes of the bundled one.
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { allOf, setUp } from './setup.mjs';
import { buildAddon, buildBundles } from './setup/build.mjs';
import { root } from './setup/command.mjs';
import { convertParameters } from './setup/sample.mjs';
import { describeFailure, printLine } from './setup/step.mjs';

try {
  await setUp('build');
  await allOf([buildAddon(), buildBundles()]);
  process.exitCode = await convert(process.argv.slice(2));
} catch (error) {
  printLine(describeFailure(error));
  process.exitCode = 1;
}

/** @param {readonly string[]} given @returns {Promise<number>} the exit code of `fp8 convert` */
function convert(given) {
  mkdirSync(join(root, 'out'), { recursive: true });
  // npm runs scripts in the package's folder; the paths in `given` are relative to where the user typed.
  const cwd = given.length > 0 ? (process.env.INIT_CWD ?? process.cwd()) : root;
  const parameters = convertParameters(given, cwd, root);
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(root, 'dist/fp8.js'), 'convert', ...parameters], { cwd, stdio: 'inherit' });
    // A Ctrl-C in a terminal reaches fp8 by itself, which cleans up and answers with its own exit code: wait for it.
    process.on('SIGINT', () => {});
    process.on('SIGTERM', () => child.kill('SIGTERM'));
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
}
