// Runs the scenarios in test/e2e/*.e2e.ts against the packaged extension; `node test/e2e/run.mjs NAME ...` runs those whose names contain one of these.
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { packagePath } from '../../scripts/package.mjs';
import { hostFolder, installHost } from '../../scripts/setup/host.mjs';
import { findBrowser } from '../../scripts/setup/programs.mjs';
import { bundleTests, root } from '../support/bundleTests.mjs';

if (!existsSync(packagePath)) throw new Error(`${packagePath} is missing; make it with: npm run build && node scripts/package.mjs`);
const e2eFolder = join(root, 'test/e2e');
const files = readdirSync(e2eFolder).filter((name) => name.endsWith('.e2e.ts'));
const names = files.map((name) => name.slice(0, -'.ts'.length));
const folder = await bundleTests('e2e', {
  run: 'test/support/e2eRun.ts',
  ...Object.fromEntries(names.map((name) => [name, join(e2eFolder, `${name}.ts`)])),
});
process.setSourceMapsEnabled(true);
const require = createRequire(import.meta.url);
const all = names.flatMap((name) => Object.entries(require(join(folder, `${name}.js`))));
const wanted = process.argv.slice(2);
const scenarios = Object.fromEntries(
  all.filter(([name, value]) => typeof value === 'function' && (wanted.length === 0 || wanted.some((part) => name.includes(part)))),
);
await installHost();
const { e2eRun } = require(join(folder, 'run.js'));
process.exitCode = await e2eRun({
  repositoryFolder: root,
  hostFolder,
  browserPath: findBrowser(),
  vsix: packagePath,
  scenarios,
  resultsFile: process.env.TEST_RESULTS_FILE,
});
