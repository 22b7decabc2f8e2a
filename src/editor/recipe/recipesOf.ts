/** recipesOf: what documents plan by: the choices for a file, and what is known of the devices here. */
import type { Uri } from 'vscode';
import { DisposableStore } from '../../base/disposableStore';
import type { DeviceKind } from '../../engine/plan/statistics';
import type { Devices } from '../conversion/devices';
import type { RecipeSource } from '../model/modelDocument';
import type { ChoiceStore } from './choiceStore';

export function recipesOf(choices: ChoiceStore, devices: Devices): RecipeSource {
  const deviceOf = (uri: Uri): DeviceKind => (devices.resolve(choices.wanted(uri).device).startsWith('cuda') ? 'cuda' : 'cpu');
  return {
    recipeOf: (uri) => choices.wanted(uri).recipe,
    deviceOf,
    onChange: (uri, listener) => {
      const owned = new DisposableStore();
      owned.add(choices.of(uri.fsPath).onChange(listener));
      let kind = deviceOf(uri);
      // Free memory changes with every job, what a plan goes by hardly ever.
      owned.add(
        devices.list.onChange(() => {
          const before = kind;
          kind = deviceOf(uri);
          if (kind !== before) listener();
        }),
      );
      return owned;
    },
  };
}
