// Runs test/integration/suite/*.test.ts inside a real extension host: that of VS Code's server, or with --desktop of the desktop VS Code.
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { hostFolder, installHost } from '../../scripts/setup/host.mjs';
import { findBrowser } from '../../scripts/setup/programs.mjs';
import { bundleTests, root } from '../support/bundleTests.mjs';

const suiteFolder = join(root, 'test/integration/suite');
const tests = readdirSync(suiteFolder).filter((name) => name.endsWith('.test.ts'));
const folder = await bundleTests('integration', {
  index: 'test/support/mochaSuite.ts',
  run: 'test/support/integrationRun.ts',
  ...Object.fromEntries(tests.map((name) => [name.slice(0, -'.ts'.length), join(suiteFolder, name)])),
});
if (!process.argv.includes('--desktop')) await installHost();
process.setSourceMapsEnabled(true);
const { integrationRun } = createRequire(import.meta.url)(join(folder, 'run.js'));
process.exitCode = await integrationRun({
  kind: process.argv.includes('--desktop') ? 'desktop' : 'server',
  repositoryFolder: root,
  suiteFile: join(folder, 'index.js'),
  hostFolder,
  browserPath: findBrowser(),
  resultsFile: process.env.TEST_RESULTS_FILE,
});
