/** plannedTensors: what a plan does to each tensor that a file has, also where it reads several of them as one weight. Pure. */
import type { Header } from '../../safetensors/header';
import type { Plan, PlannedTensor } from '../plan';

/** Every tensor of the file as it is there, in its order. */
export function plannedTensors({ tensors }: Header, plan: Plan): readonly PlannedTensor[] {
  if (plan.tensors.every(({ stored }) => stored === undefined)) return plan.tensors;
  const byName = new Map(plan.tensors.map((planned) => [planned.stored?.weight.codes.name ?? planned.source.name, planned]));
  return tensors.map((source) => {
    const planned = byName.get(source.name);
    if (planned !== undefined) return { ...planned, source };
    return {
      source,
      action: 'remove',
      rule: 'dequantized',
      reason: 'Already quantized: what it describes is read as numbers, and rounded anew.',
    };
  });
}
