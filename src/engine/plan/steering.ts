/** steering: what steers the rounding of a whole plan or report: its tensors' choices of statistics, counted and in words. Pure. */
import { formatInteger } from '../../base/format';
import type { Plan, PlannedTensor } from './plan';
import type { InputStatistics, OutputStatistics, StatisticsChoice } from './statistics';

export interface SteeringGroup {
  readonly inputs: InputStatistics;
  readonly outputs: OutputStatistics;
  readonly reason: string;
  readonly tensors: number;
}

/** Alike choices together, most tensors first. */
export function steeringGroups(choices: readonly (StatisticsChoice | undefined)[]): readonly SteeringGroup[] {
  const groups = new Map<string, SteeringGroup>();
  for (const choice of choices) {
    if (choice === undefined) continue;
    const { inputs, outputs, reason } = choice;
    const key = `${outputs} ${reason}`;
    groups.set(key, { inputs, outputs, reason, tensors: (groups.get(key)?.tensors ?? 0) + 1 });
  }
  return [...groups.values()].sort((a, b) => b.tensors - a.tensors);
}

export function steeringOfPlan({ tensors }: Plan): readonly SteeringGroup[] {
  return steeringGroups(tensors.map(({ quantization }) => quantization?.statistics));
}

/** E.g. `24 propagated, outputs gram: samples reach it through the layers before it.` */
export function steeringText({ tensors, inputs, outputs, reason }: SteeringGroup): string {
  return `${formatInteger(tensors)} ${inputs}${outputsText(outputs)}: ${reason.slice(reason.indexOf(': ') + 2)}`;
}

/** Why a tensor becomes what it becomes, and what steers it then. */
export function wholeReason({ reason, quantization }: Pick<PlannedTensor, 'reason' | 'quantization'>): string {
  const choice = quantization?.statistics;
  return choice === undefined ? reason : `${reason} ${choiceText(choice)}`;
}

const OUTPUT_SOURCES: Readonly<Record<Exclude<OutputStatistics, 'none'>, string>> = {
  gram: 'the weights alone',
  calibrated: 'the calibration file',
};

/** Of one tensor. */
export function choiceText({ outputs, reason }: Pick<StatisticsChoice, 'outputs' | 'reason'>): string {
  return outputs === 'none' ? reason : `${reason} Which outputs matter: by ${OUTPUT_SOURCES[outputs]} (${outputs}).`;
}

function outputsText(outputs: OutputStatistics): string {
  return outputs === 'none' ? '' : `, outputs ${outputs}`;
}

/** Whether another device would choose otherwise than the CPU, for which the plan was made. */
export function goesByDevice(plan: Plan): boolean {
  return plan.recipe.sides === 'auto' && steeringOfPlan(plan).some(({ outputs }) => outputs === 'gram');
}
