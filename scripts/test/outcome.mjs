// What a stage of `npm test` came to, read from what its runner wrote or printed.
import { readFileSync, rmSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';
import { CommandFailed, runQuietly } from '../setup/command.mjs';

/** @typedef {{ readonly name: string, readonly reason: string }} Told a test that failed or was skipped, and why */
/** @typedef {{ readonly passed: number, readonly failed: number, readonly skipped: readonly Told[], readonly failures: readonly Told[] }} Results */
/** @typedef {Results & { readonly output: string }} Outcome */

/**
 * A check counts as one test, however many commands it takes; all of them run.
 * @param {readonly (readonly string[])[]} commands each for Node or, with a bare name, for the shell's path
 * @returns {Promise<Outcome>}
 */
export async function runCheck(commands) {
  const outputs = [];
  const failures = [];
  for (const [program = '', ...parameters] of commands) {
    try {
      await runQuietly(program, parameters);
    } catch (error) {
      outputs.push(outputOf(error));
      failures.push({
        name: [program, ...parameters].join(' ').replace(/^.*node_modules\/\S*\/(\w+)/, '$1'),
        reason: firstFinding(outputs.at(-1) ?? ''),
      });
    }
  }
  const failed = failures.length > 0;
  return { passed: failed ? 0 : 1, failed: failed ? 1 : 0, skipped: [], failures, output: outputs.join('\n') };
}

/**
 * A suite counts its own tests. One that ends without saying what came of them, or fails without a failed test, counts as one failed.
 * @param {readonly string[]} command
 * @param {{ readonly resultsFile: string, readonly timeoutSeconds: number }} options
 * @returns {Promise<Outcome>}
 */
export async function runSuite([program = '', ...parameters], { resultsFile, timeoutSeconds }) {
  rmSync(resultsFile, { force: true });
  let output = '';
  let crashed = false;
  try {
    output = await runQuietly(program, parameters, { env: { TEST_RESULTS_FILE: resultsFile }, timeoutSeconds });
  } catch (error) {
    crashed = true;
    output = outputOf(error);
  }
  /** @type {Results} */
  let results;
  try {
    results = JSON.parse(readFileSync(resultsFile, 'utf8'));
  } catch {
    const failures = [{ name: 'the run', reason: `it ended without results: ${lastWords(output)}` }];
    return { passed: 0, failed: 1, skipped: [], failures, output: `${output}\nThe run ended without results.` };
  }
  if (results.failed > 0 || (!crashed && results.passed > 0)) return { ...results, output };
  const failures = [{ name: 'the run', reason: `no test failed, yet the run did: ${lastWords(output)}` }];
  return { ...results, failed: 1, failures, output: `${output}\nNo test failed, yet the run did.` };
}

/**
 * For the end of the log: what was skipped, as a count for each reason, then a line for each failure.
 * @param {readonly (readonly [stage: string, results: Results])[]} stages
 * @returns {readonly string[]}
 */
export function told(stages) {
  return [
    ...stages.flatMap(([stage, { skipped }]) =>
      [...counted(skipped.map(({ reason }) => short(reason) || 'no reason given'))].map(
        ([reason, count]) => `skipped in ${stage}: ${count} × ${reason}`,
      ),
    ),
    ...stages.flatMap(([stage, { failures }]) => failures.map(({ name, reason }) => `✗ ${stage}: ${short(name)}: ${short(reason)}`)),
  ];
}

/** @param {readonly string[]} values */
function counted(values) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

const LONGEST = 240;

/** One line without colours. @param {string} text */
function short(text) {
  const line = stripVTControlCharacters(text).replace(/\s+/g, ' ').trim();
  return line.length > LONGEST ? `${line.slice(0, LONGEST)}…` : line;
}

/** @param {string} output */
function firstFinding(output) {
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  return lines.find((line) => /error|warn|✖/i.test(line)) ?? lines[0] ?? '';
}

/** @param {string} output */
function lastWords(output) {
  const lines = output.trimEnd().split('\n');
  return [lines.slice(0, -1).findLast((line) => /^\s*\w*Error\b/.test(line)), lines.at(-1)].filter((line) => line !== undefined).join(' ');
}

/** @param {unknown} error */
function outputOf(error) {
  if (error instanceof CommandFailed) return `${error.output.trimEnd()}\n${error.message}`;
  return String(error);
}
