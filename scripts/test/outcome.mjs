// What a stage of `npm test` came to, read from what its runner wrote or printed.
import { readFileSync, rmSync } from 'node:fs';
import { CommandFailed, runQuietly } from '../setup/command.mjs';

/** @typedef {{ readonly passed: number, readonly failed: number, readonly skipped: readonly string[], readonly output: string }} Outcome */

/**
 * A check counts as one test, however many commands it takes; all of them run.
 * @param {readonly (readonly string[])[]} commands each for Node or, with a bare name, for the shell's path
 * @returns {Promise<Outcome>}
 */
export async function runCheck(commands) {
  const outputs = [];
  let failed = false;
  for (const [program = '', ...parameters] of commands) {
    try {
      await runQuietly(program, parameters);
    } catch (error) {
      failed = true;
      outputs.push(outputOf(error));
    }
  }
  return { passed: failed ? 0 : 1, failed: failed ? 1 : 0, skipped: [], output: outputs.join('\n') };
}

/**
 * A suite counts its own tests. One that ends without saying what came of them, or fails without a failed test, counts as one failed.
 * @param {readonly string[]} command
 * @param {{ readonly resultsFile: string, readonly read: (text: string) => Omit<Outcome, 'output'>, readonly timeoutSeconds: number }} options
 * @returns {Promise<Outcome>}
 */
export async function runSuite([program = '', ...parameters], { resultsFile, read, timeoutSeconds }) {
  rmSync(resultsFile, { force: true });
  let output = '';
  let crashed = false;
  try {
    output = await runQuietly(program, parameters, { env: { TEST_RESULTS_FILE: resultsFile }, timeoutSeconds });
  } catch (error) {
    crashed = true;
    output = outputOf(error);
  }
  try {
    const counts = read(readFileSync(resultsFile, 'utf8'));
    const silentFailure = counts.failed === 0 && (crashed || counts.passed === 0);
    return {
      ...counts,
      failed: silentFailure ? 1 : counts.failed,
      output: silentFailure ? `${output}\nNo test failed, yet the run did.` : output,
    };
  } catch {
    return { passed: 0, failed: 1, skipped: [], output: `${output}\nThe run ended without results.` };
  }
}

/** The format of test/support/testResults.ts. @param {string} text */
export function readResults(text) {
  const { passed, failed, skipped } = JSON.parse(text);
  return { passed, failed, skipped };
}

/** Vitest's JSON report. @param {string} text */
export function readVitestReport(text) {
  /** @type {{ testResults: { name: string, status: string, assertionResults: { status: string, fullName: string }[] }[] }} */
  const { testResults } = JSON.parse(text);
  const tests = testResults.flatMap((file) => file.assertionResults);
  const count = (/** @type {string} */ status) => tests.filter((test) => test.status === status).length;
  // A file that does not load, or whose hook fails, has no failed test of its own.
  const brokenFiles = testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  ).length;
  const notRun = tests.filter((test) => !['passed', 'failed'].includes(test.status));
  return { passed: count('passed'), failed: count('failed') + brokenFiles, skipped: notRun.map((test) => test.fullName) };
}

/** @param {unknown} error */
function outputOf(error) {
  if (error instanceof CommandFailed) return `${error.output.trimEnd()}\n${error.message}`;
  return String(error);
}
