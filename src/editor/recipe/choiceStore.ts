/** ChoiceStore: the choices for every file, kept with the workspace. */
import type { Memento, Uri } from 'vscode';
import { Observable, type ReadonlyObservable } from '../../base/observable';
import type { Recipe } from '../../engine/plan/recipe';
import { readSettings } from '../settings';
import { isEmpty, NO_CHOICES, parseChoices, recipeOf, type Choices } from './choices';

const KEY = 'fp8.choices:';

/** Everything a conversion needs to know of what the user wants, settings and choices together. */
export interface Wanted {
  readonly recipe: Recipe;
  readonly device: string;
  readonly threads: number;
  /** Where the user named one. */
  readonly output?: string;
}

export class ChoiceStore {
  readonly #choices = new Map<string, Observable<Choices>>();

  constructor(private readonly memento: Memento) {}

  of(path: string): ReadonlyObservable<Choices> {
    return this.#entry(path);
  }

  wanted(uri: Uri): Wanted {
    const settings = readSettings(uri);
    const choices = this.#entry(uri.fsPath).value;
    return {
      recipe: recipeOf(settings.recipe, choices),
      device: choices.device ?? settings.device,
      threads: choices.threads ?? settings.threads,
      ...(choices.output === undefined ? undefined : { output: choices.output }),
    };
  }

  async change(path: string, change: (choices: Choices) => Choices): Promise<void> {
    const entry = this.#entry(path);
    entry.value = change(entry.value);
    await this.memento.update(KEY + path, isEmpty(entry.value) ? undefined : entry.value);
  }

  async reset(path: string): Promise<void> {
    await this.change(path, () => NO_CHOICES);
  }

  #entry(path: string): Observable<Choices> {
    let entry = this.#choices.get(path);
    if (entry === undefined) {
      entry = new Observable(parseChoices(this.memento.get(KEY + path)));
      this.#choices.set(path, entry);
    }
    return entry;
  }
}
