import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8')) as { readonly version: string };

export default defineConfig({
  define: { FP8_VERSION: JSON.stringify(version) },
  test: {
    // Much of their time they wait for processes of their own.
    maxWorkers: availableParallelism(),
    include: ['test/unit/**/*.test.ts', 'test/parity/**/*.test.ts', 'test/loaders/**/*.test.ts'],
    // The real addon and real child processes run in these tests, on machines that may have two busy cores: only what hangs takes this long.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
