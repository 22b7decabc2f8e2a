// `npm test`: sets the machine up, builds, and runs every check and test there is, whether or not an earlier one failed.
// Its last line is `N passed, N failed`; a stage that dies counts as one failed.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { packageExtension } from './package.mjs';
import { allOf, setUp } from './setup.mjs';
import { buildAddon, buildBundles } from './setup/build.mjs';
import { root } from './setup/command.mjs';
import { installHost } from './setup/host.mjs';
import { describeFailure, printLine, secondsSince, step } from './setup/step.mjs';
import { runCheck, runSuite, told } from './test/outcome.mjs';

/** @typedef {import('./test/outcome.mjs').Outcome} Outcome */
/** @typedef {{ readonly name: string, readonly run: () => Promise<Outcome> }} Stage */

const resultsFolder = join(root, '.cache/results');
const node = process.execPath;
const eslint = [node, 'node_modules/eslint/bin/eslint.js', '.'];
const prettier = [node, 'node_modules/prettier/bin/prettier.cjs', '--check', '--log-level', 'warn', '.'];
const clangFormat = [node, 'scripts/format-native.mjs', '--check'];
const typeCheck = (/** @type {string} */ project) => [node, 'node_modules/typescript/bin/tsc', '--noEmit', '-p', project];
const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--reporter=default', '--reporter=./scripts/test/vitestResults.mjs'];

/**
 * Stages of a row run side by side: one that has a single thread beside one that uses what is left, or that waits for processes of its own.
 * Nothing in them depends on how fast it is. @type {readonly (readonly Stage[])[]}
 */
const rows = [
  [
    check('Lint and format', [eslint, prettier, clangFormat]),
    check('Types', [typeCheck('tsconfig.json'), typeCheck('tsconfig.webview.json')]),
    suite('C++ tests', ['scripts/test-native.mjs'], 1800),
  ],
  [suite('Unit tests', vitest, 1800), suite('Extension host tests', ['test/integration/run.mjs'], 1200)],
  [suite('End to end in Chromium', ['test/e2e/run.mjs'], 2400)],
];

const start = performance.now();
/** @type {Map<string, Outcome & { seconds: string }>} */
const outcomes = new Map();
mkdirSync(resultsFolder, { recursive: true });
await runPreparation('Set-up', () => setUp('test'));
await runPreparation('Build', () => allOf([buildAddon(), installHost(), buildBundles()]));
await runPreparation('Package', () => step('Package the extension', packageExtension));
for (const row of rows) await Promise.all(row.map(runStage));
process.exitCode = printSummary();

/** Preparations are no tests: only their failure counts. @param {string} name @param {() => Promise<unknown>} work */
async function runPreparation(name, work) {
  const start = performance.now();
  const failures = [];
  try {
    await work();
  } catch (error) {
    printLine(describeFailure(error));
    failures.push({ name: 'it', reason: describeFailure(error) });
  }
  outcomes.set(name, { passed: 0, failed: failures.length, skipped: [], failures, output: '', seconds: secondsSince(start) });
}

/** @param {Stage} stage */
async function runStage({ name, run }) {
  const start = performance.now();
  const outcome = await run();
  const seconds = secondsSince(start);
  outcomes.set(name, { ...outcome, seconds });
  if (outcome.failed > 0) printLine(`\n${outcome.output.trim()}\n`);
  printLine(`${outcome.failed > 0 ? '✗' : '✓'} ${name} (${seconds})`);
}

/** @param {string} name @param {readonly (readonly string[])[]} commands @returns {Stage} */
function check(name, commands) {
  return { name, run: () => runCheck(commands) };
}

/** @param {string} name @param {readonly string[]} script @param {number} timeoutSeconds @returns {Stage} */
function suite(name, script, timeoutSeconds) {
  const resultsFile = join(resultsFolder, `${name}.json`);
  return { name, run: () => runSuite([node, ...script], { resultsFile, timeoutSeconds }) };
}

/** @returns {number} the exit code */
function printSummary() {
  const order = rows.flat().map((stage) => stage.name);
  const all = [...outcomes].sort(([a], [b]) => order.indexOf(a) - order.indexOf(b));
  const total = (/** @type {'passed' | 'failed'} */ key) => all.reduce((sum, [, outcome]) => sum + outcome[key], 0);
  console.log(`\n${'stage'.padEnd(24)} ${['passed', 'failed', 'skipped', 'time'].map((title) => title.padStart(8)).join(' ')}`);
  for (const [name, { passed, failed, skipped, seconds }] of all) {
    console.log(`${name.padEnd(24)} ${[passed, failed, skipped.length, seconds].map((value) => String(value).padStart(8)).join(' ')}`);
  }
  console.log(`${'the whole run'.padEnd(24)} ${secondsSince(start).padStart(35)}`);
  console.log(['', ...told(all)].join('\n'));
  console.log(`\n${total('passed')} passed, ${total('failed')} failed`);
  return total('failed') === 0 ? 0 : 1;
}
