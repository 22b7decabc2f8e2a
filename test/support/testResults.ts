/** What a run of tests came to: written to a file by whoever runs them, read by scripts/test.mjs. */
import { readFileSync, writeFileSync } from 'node:fs';

/** One that failed or was skipped, and why, as far as it says. */
export interface ToldTest {
  readonly name: string;
  readonly reason: string;
}

export interface TestResults {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: readonly ToldTest[];
  readonly failures: readonly ToldTest[];
  /** A line for each test, and how each failed one failed. */
  readonly report: string;
}

export function writeTestResults(path: string, results: TestResults): void {
  writeFileSync(path, `${JSON.stringify(results)}\n`);
}

/** Undefined where nothing was written: the run died before its end. */
export function readTestResults(path: string): TestResults | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as TestResults;
  } catch {
    return undefined;
  }
}
