// What CTest's JUnit report says of GoogleTest's tests: how many passed, which failed or were skipped, and why.

/** @typedef {import('./outcome.mjs').Results} Results */

/** @param {string} junit @returns {Results} */
export function junitResults(junit) {
  const cases = [...junit.matchAll(/<testcase name="([^"]*)"[^>]*status="(\w+)"[^>]*>([^]*?)<\/testcase>/g)].map(
    ([, name = '', status = '', body = '']) => ({ name: unescaped(name), status, output: unescaped(body) }),
  );
  const skipped = cases.filter(({ status }) => status === 'notrun' || status === 'disabled');
  const failed = cases.filter(({ status }) => status !== 'run' && !skipped.some((other) => other.status === status));
  return {
    passed: cases.length - skipped.length - failed.length,
    failed: failed.length,
    skipped: skipped.map(({ name, output }) => ({ name, reason: said(output, 'Skipped')[0] ?? '' })),
    failures: failed.map(({ name, output }) => ({ name, reason: failureReason(output) })),
  };
}

/** @param {string} output */
function failureReason(output) {
  const lines = said(output, 'Failure');
  return lines.length > 0 ? lines.join(' ') : 'it ended without a result: it crashed, or took too long.';
}

/** The lines after `file:line: <mark>`, up to the next mark. @param {string} output @param {'Skipped' | 'Failure'} mark */
function said(output, mark) {
  const lines = output.split('\n');
  const begin = lines.findIndex((line) => line.endsWith(`: ${mark}`)) + 1;
  if (begin === 0) return [];
  const rest = lines.slice(begin);
  const end = rest.findIndex((line) => line.startsWith('[') || /: (Skipped|Failure)$/.test(line));
  return rest.slice(0, end < 0 ? undefined : end).filter((line) => line.trim() !== '');
}

/** @param {string} text */
function unescaped(text) {
  return text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&apos;', "'").replaceAll('&amp;', '&');
}
