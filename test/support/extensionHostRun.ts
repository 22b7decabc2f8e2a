/** Runs a Mocha suite inside a real extension host, of a VS Code server or of a desktop VS Code. */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { format } from 'node:util';
import { runTests } from '@vscode/test-electron';
import { launchBrowser } from './browser';
import { temporaryFolder } from './temporaryFolder';
import { readTestResults, type TestResults } from './testResults';
import { startWorkbenchServer } from './workbenchServer';

const suiteLimitSeconds = 800;

export interface SuiteOptions {
  readonly extensionFolder: string;
  /** The bundled test/support/mochaSuite.ts, with the tests beside it. */
  readonly suiteFile: string;
  /** Opened as the workspace. */
  readonly workspaceFolder: string;
}

export interface ServerSuiteOptions extends SuiteOptions {
  readonly hostFolder: string;
  readonly browserPath: string;
}

/** Throws when the host ends without results. */
export async function runSuiteInServer(options: ServerSuiteOptions): Promise<TestResults> {
  await using folder = await temporaryFolder();
  const resultsFile = join(folder.path, 'results.json');
  await using server = await startWorkbenchServer({
    hostFolder: options.hostFolder,
    environment: { TEST_RESULTS_FILE: resultsFile },
    // Lets a built workbench take the test paths out of its address; newer releases require it.
    parameters: ['--enable-smoke-test-driver'],
  });
  await using browser = await launchBrowser(options.browserPath);
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });

  const hostMessages: string[] = [];
  const finished = new Promise<string>((resolve) => {
    page.on('crash', () => resolve('the page crashed'));
    void server.ended.then(() => resolve('the server ended'));
    void page.exposeFunction('codeAutomationLog', (_kind: string, texts: readonly unknown[]) => hostMessages.push(format(...texts)));
    void page.exposeFunction('codeAutomationExit', (code: number) => resolve(`exit code ${code}`));
    void sleep(suiteLimitSeconds * 1000, undefined, { ref: false }).then(() => resolve(`no end after ${suiteLimitSeconds} s`));
  });
  const remote = (path: string) => `vscode-remote://${new URL(server.origin).host}${path}`;
  const payload = JSON.stringify([
    ['extensionDevelopmentPath', remote(options.extensionFolder)],
    ['extensionTestsPath', remote(options.suiteFile)],
    ['skipWelcome', 'true'],
  ]);
  await page.goto(`${server.origin}/?${new URLSearchParams({ folder: options.workspaceFolder, payload }).toString()}`);
  const how = await finished;
  return readTestResults(resultsFile) ?? failWithoutResults(how, [await server.log(), ...hostMessages.slice(-40)].join('\n'));
}

/** For a machine with a display: downloads VS Code where @vscode/test-electron finds none. Throws when the host ends without results. */
export async function runSuiteOnDesktop(options: SuiteOptions): Promise<TestResults> {
  await using folder = await temporaryFolder();
  const resultsFile = join(folder.path, 'results.json');
  let how = 'exit code 0';
  try {
    await runTests({
      extensionDevelopmentPath: options.extensionFolder,
      extensionTestsPath: options.suiteFile,
      extensionTestsEnv: { TEST_RESULTS_FILE: resultsFile },
      launchArgs: [
        options.workspaceFolder,
        '--disable-extensions',
        '--disable-workspace-trust',
        '--user-data-dir',
        mkdtempSync(join(folder.path, 'u')),
      ],
    });
  } catch (error) {
    how = String(error);
  }
  return readTestResults(resultsFile) ?? failWithoutResults(how, '');
}

function failWithoutResults(how: string, log: string): never {
  throw new Error(`The extension host ended without results (${how}).\n${log}`);
}
