/** ListedTensor: a tensor as it is listed; what is to happen to it is known once there is a plan. */
import type { PlannedTensor } from '../../engine/plan/plan';
import type { Decider } from '../../webview/protocol/views';
import type { TensorInfo } from '../../engine/safetensors/header';

export type ListedTensor = PlannedTensor | { readonly source: TensorInfo; readonly action?: undefined };

export function deciderOf(tensor: PlannedTensor): Decider {
  return tensor.rule === 'override' ? 'override' : 'rules';
}
