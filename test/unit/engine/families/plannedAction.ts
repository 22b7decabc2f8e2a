/** What happens to a tensor of a recognised file: its family's removals, then the rules of any model, then what its family keeps. */
import type { FamilyRules } from '../../../../src/engine/families/familyRules';
import type { Action } from '../../../../src/engine/plan/decision';
import { defaultRecipe } from '../../../../src/engine/plan/recipe';
import { decide, ruleContext } from '../../../../src/engine/plan/rules';
import type { Header } from '../../../../src/engine/safetensors/header';

export function plannedActions(header: Header, { ruleOf }: FamilyRules): ReadonlyMap<string, Action> {
  const context = ruleContext(header, defaultRecipe(), new Map());
  return new Map(
    header.tensors.map((tensor) => {
      const rule = ruleOf(tensor.name);
      if (rule?.action === 'remove') return [tensor.name, 'remove'];
      const { action } = decide(tensor, context);
      return [tensor.name, action === 'quantize' && rule !== undefined ? 'keep' : action];
    }),
  );
}
