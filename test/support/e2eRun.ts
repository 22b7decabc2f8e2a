/** The end-to-end run: the packaged extension in a server, every scenario in a workbench of its own. */
import { basename, join } from 'node:path';
import { BrowserProfile } from './browser';
import { HeldEngines } from './heldEngines';
import { PICTURE_SCALE } from './pictures';
import type { Scenario } from './scenario';
import { writeTestResults, type ToldTest } from './testResults';
import { Workbench } from './workbench';
import { startWorkbenchServer, type WorkbenchServer } from './workbenchServer';
import { temporaryWorkspace } from './workspace';

/** Reached only by what hangs: the slowest takes less than a minute on two cores. */
const scenarioLimitSeconds = 600;

export interface E2eRunOptions {
  readonly repositoryFolder: string;
  readonly hostFolder: string;
  readonly browserPath: string | undefined;
  readonly vsix: string;
  readonly scenarios: Readonly<Record<string, Scenario>>;
  readonly resultsFile: string | undefined;
}

export async function e2eRun(options: E2eRunOptions): Promise<number> {
  if (options.browserPath === undefined) {
    throw new Error('No Chromium was found; install it (on Debian: apt-get install chromium) or name one in FP8_BROWSER.');
  }
  console.log(`Installing ${basename(options.vsix)}`);
  await using server = await startWorkbenchServer({ hostFolder: options.hostFolder, vsix: options.vsix });
  await using browser = new BrowserProfile({ executablePath: options.browserPath, deviceScaleFactor: PICTURE_SCALE });
  const place = { repository: options.repositoryFolder, server, browser };
  let passed = 0;
  const failures: ToldTest[] = [];
  // What happens is printed as it happens: the report holds nothing more.
  for (const [name, scenario] of Object.entries(options.scenarios)) {
    const failure = await runScenario(name, scenario, place);
    if (failure === undefined) passed++;
    else failures.push({ name, reason: failure });
  }
  if (options.resultsFile !== undefined)
    writeTestResults(options.resultsFile, { passed, failed: failures.length, skipped: [], failures, report: '' });
  console.log(`${passed} passed, ${failures.length} failed`);
  return failures.length === 0 && passed > 0 ? 0 : 1;
}

interface Place {
  readonly repository: string;
  readonly server: WorkbenchServer;
  readonly browser: BrowserProfile;
}

/** A browser that dies says nothing about the extension, which cannot end it: the scenario then has one more try. Returns why it failed. */
async function runScenario(name: string, scenario: Scenario, place: Place): Promise<string | undefined> {
  const outcome = await tryScenario(name, scenario, place);
  const last = outcome.end === 'browser died' ? await tryScenario(name, scenario, place) : outcome;
  return last.end === 'passed' ? undefined : last.reason;
}

type ScenarioEnd = { readonly end: 'passed' } | { readonly end: 'failed' | 'browser died'; readonly reason: string };

async function tryScenario(name: string, scenario: Scenario, place: Place): Promise<ScenarioEnd> {
  const { repository, server, browser } = place;
  const start = performance.now();
  const seconds = () => `${((performance.now() - start) / 1000).toFixed(1)} s`;
  await using workspace = await temporaryWorkspace(repository);
  await using engines = new HeldEngines(() => server.engines());
  await server.setUserSettings({ 'workbench.colorTheme': 'Default Dark Modern' });
  const page = await browser.freshPage(server.origin);
  const workbench = new Workbench(page, server, join(repository, 'out/e2e'));
  let current = 'open the workbench';
  console.log(name);
  try {
    await scenario.prepare?.({ workspace: workspace.path, repository });
    await workbench.open(workspace.path);
    const step = async <T>(title: string, work: () => Promise<T>) => {
      current = title;
      const result = await work();
      console.log(`  ${seconds().padStart(8)}  ${title}`);
      return result;
    };
    await withLimit(scenario({ workbench, workspace: workspace.path, repository, engines, step }));
    console.log(`  passed (${seconds()})`);
    return { end: 'passed' };
  } catch (error) {
    const picture = await workbench.screenshot(`failed-${name}`).catch(() => 'no screenshot');
    console.log(
      `  FAILED (${seconds()}) at: ${current}\n${error instanceof Error ? error.stack : String(error)}\n  ${picture}\n${await server.log()}`,
    );
    const reason = `at “${current}”: ${error instanceof Error ? error.message : String(error)}`;
    return { end: browser.isRunning ? 'failed' : 'browser died', reason };
  } finally {
    await workbench.close();
  }
}

async function withLimit(work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`The scenario took more than ${scenarioLimitSeconds} s.`)), scenarioLimitSeconds * 1000);
  });
  try {
    await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
