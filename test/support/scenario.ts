/** What an end-to-end scenario gets: a fresh workbench with the packaged extension, on a fresh workspace. */
import type { Workbench } from './workbench';

export interface ScenarioContext {
  readonly workbench: Workbench;
  /** The open folder: holds a real model and a broken file (workspace.ts). */
  readonly workspace: string;
  readonly repository: string;
  /** Names what is done, so that a failure says where it happened. */
  step<T>(name: string, work: () => Promise<T>): Promise<T>;
}

/** Each function that a file `*.e2e.ts` exports is a scenario, named as it is. Throws when a promise is broken. */
export type Scenario = (context: ScenarioContext) => Promise<void>;
