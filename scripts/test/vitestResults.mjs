// A reporter for Vitest that writes what the run came to, with the reasons of failures and skips, into the file that TEST_RESULTS_FILE names.
import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';

/** @typedef {import('./outcome.mjs').Results} Results */

export default class VitestResults {
  /** @param {readonly import('vitest/node').TestModule[]} modules @param {readonly { readonly message?: string }[]} unhandled */
  onTestRunEnd(modules, unhandled) {
    const path = process.env.TEST_RESULTS_FILE;
    if (path !== undefined) writeFileSync(path, `${JSON.stringify(resultsOf(modules, unhandled))}\n`);
  }
}

/**
 * @param {readonly import('vitest/node').TestModule[]} modules
 * @param {readonly { readonly message?: string }[]} unhandled
 * @returns {Results}
 */
function resultsOf(modules, unhandled) {
  const tests = modules.flatMap((module) => [...module.children.allTests()]);
  const inState = (/** @type {string} */ state) => tests.filter((test) => test.result().state === state);
  const failed = inState('failed').map((test) => ({ name: test.fullName, reason: test.result().errors?.[0]?.message ?? '' }));
  // A file that does not load, or a hook that fails, has no failed test of its own.
  const broken = [...modules, ...modules.flatMap((module) => [...module.children.allSuites()])].flatMap((part) =>
    part.errors().map(({ message }) => ({ name: nameOf(part), reason: message })),
  );
  const loose = unhandled.map(({ message = '' }) => ({ name: 'an error outside of tests', reason: message }));
  const failures = [...failed, ...broken, ...loose];
  const skipped = tests
    .filter((test) => !['passed', 'failed'].includes(test.result().state))
    .map((test) => ({ name: test.fullName, reason: skipReason(test) }));
  return { passed: inState('passed').length, failed: failures.length, skipped, failures };
}

/** @param {import('vitest/node').TestModule | import('vitest/node').TestSuite} part */
function nameOf(part) {
  return part.type === 'module' ? relative(process.cwd(), part.moduleId) : part.fullName;
}

/** @param {import('vitest/node').TestCase} test */
function skipReason(test) {
  const result = test.result();
  return result.state === 'skipped' ? (result.note ?? '') : 'its file broke off before it';
}
