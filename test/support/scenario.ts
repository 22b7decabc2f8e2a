/** What an end-to-end scenario gets: a fresh workbench with the packaged extension, on a fresh workspace. */
import type { Workbench } from './workbench';

export interface ScenarioContext {
  readonly workbench: Workbench;
  /** The open folder: holds a real model and a broken file (workspace.ts). */
  readonly workspace: string;
  readonly repository: string;
  readonly engines: Engines;
  /** Names what is done, so that a failure says where it happened. */
  step<T>(name: string, work: () => Promise<T>): Promise<T>;
}

/** The engine processes behind the workbench: a conversion that is held can be looked at for as long as it takes. Linux alone. */
export interface Engines {
  /** Waits for one, and stops all there are. */
  hold(): Promise<void>;
  release(): Promise<void>;
}

/** Each function that a file `*.e2e.ts` exports is a scenario, named as it is. Throws when a promise is broken. */
export interface Scenario {
  (context: ScenarioContext): Promise<void>;
  readonly prepare?: Preparation;
}

/** Puts more files into the workspace before the workbench opens on it: its explorer does not see what others write later. */
export type Preparation = (place: Pick<ScenarioContext, 'workspace' | 'repository'>) => Promise<void>;

export function withFiles(prepare: Preparation, scenario: (context: ScenarioContext) => Promise<void>): Scenario {
  return Object.assign((context: ScenarioContext) => scenario(context), { prepare });
}
