/** The run of the integration suite: a workspace, a host, and what it came to as an exit code. */
import { runSuiteInServer, runSuiteOnDesktop } from './extensionHostRun';
import { writeTestResults, type TestResults } from './testResults';
import { temporaryWorkspace } from './workspace';

export interface IntegrationRunOptions {
  readonly kind: 'server' | 'desktop';
  readonly repositoryFolder: string;
  readonly suiteFile: string;
  readonly hostFolder: string;
  readonly browserPath: string | undefined;
  readonly resultsFile: string | undefined;
}

export async function integrationRun(options: IntegrationRunOptions): Promise<number> {
  await using workspace = await temporaryWorkspace(options.repositoryFolder);
  const results = await runSuite(options, workspace.path);
  if (options.resultsFile !== undefined) writeTestResults(options.resultsFile, results);
  console.log(results.report);
  console.log(`${results.passed} passed, ${results.failed} failed, ${results.skipped.length} skipped`);
  // A suite that ran nothing has shown nothing.
  return results.failed === 0 && results.passed > 0 ? 0 : 1;
}

async function runSuite(options: IntegrationRunOptions, workspaceFolder: string): Promise<TestResults> {
  const suite = { extensionFolder: options.repositoryFolder, suiteFile: options.suiteFile, workspaceFolder };
  switch (options.kind) {
    case 'desktop':
      return runSuiteOnDesktop(suite);
    case 'server': {
      const { hostFolder, browserPath } = options;
      if (browserPath === undefined)
        throw new Error('No Chromium was found; install it (on Debian: apt-get install chromium) or name one in FP8_BROWSER.');
      return runSuiteInServer({ ...suite, hostFolder, browserPath });
    }
  }
}
