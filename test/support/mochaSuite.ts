/** Entry of the suite inside the extension host: VS Code calls `run`, whichever launcher started it. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import Mocha from 'mocha';
import { writeTestResults, type ToldTest } from './testResults';

const resultsFileVariable = 'TEST_RESULTS_FILE';
/** Reached only by what hangs. */
const testTimeoutMilliseconds = 180_000;

/** Runs every *.test.js beside this file; throws when one fails. */
export async function run(): Promise<void> {
  // What a reporter prints is lost among the host's own messages: the report goes into the results.
  const mocha = new Mocha({ ui: 'bdd', timeout: testTimeoutMilliseconds, color: false, reporter: 'min' });
  for (const file of readdirSync(__dirname).filter((name) => name.endsWith('.test.js'))) mocha.addFile(join(__dirname, file));

  const counts = { passed: 0, failed: 0 };
  const skipped: ToldTest[] = [];
  const failed: ToldTest[] = [];
  const lines: string[] = [];
  const { EVENT_TEST_PASS, EVENT_TEST_FAIL, EVENT_TEST_PENDING } = Mocha.Runner.constants;
  const failures = await new Promise<number>((resolve) => {
    mocha
      .run(resolve)
      .on(EVENT_TEST_PASS, (test: Mocha.Test) => {
        counts.passed++;
        lines.push(`  ✓ ${test.fullTitle()} (${test.duration ?? 0} ms)`);
      })
      // Hooks that fail come here too.
      .on(EVENT_TEST_FAIL, (test: Mocha.Test, error: Error) => {
        counts.failed++;
        failed.push({ name: test.fullTitle(), reason: error.message });
        lines.push(`  ✗ ${test.fullTitle()}\n${error.stack ?? error.message}`);
      })
      .on(EVENT_TEST_PENDING, (test: Mocha.Test) => skipped.push({ name: test.fullTitle(), reason: '' }));
  });
  // An extension host that dies is reported as a success by VS Code: the launchers require this file.
  const resultsFile = process.env[resultsFileVariable];
  if (resultsFile !== undefined) writeTestResults(resultsFile, { ...counts, skipped, failures: failed, report: lines.join('\n') });
  if (failures > 0) throw new Error(`${failures} tests failed.`);
}
