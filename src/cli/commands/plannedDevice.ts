/** plannedDevice: the kind of device that a plan is for. The engine is asked only where that decides anything. */
import { EngineError } from '../../engine/errors';
import { chooseDevice } from '../../engine/job/chooseDevice';
import type { Plan } from '../../engine/plan/plan';
import type { DeviceKind } from '../../engine/plan/statistics';
import { goesByDevice } from '../../engine/plan/steering';
import { EngineClient } from '../../engine/process/engineClient';
import type { CommandContext } from '../command';

export async function plannedDevice(
  wanted: string,
  plan: Plan,
  { engineModule }: Pick<CommandContext, 'engineModule'>,
): Promise<DeviceKind> {
  if (wanted === 'cpu' || !goesByDevice(plan)) return 'cpu';
  if (wanted !== 'auto') return 'cuda';
  const client = new EngineClient({ modulePath: engineModule });
  try {
    // Why there is none is told by a conversion itself.
    const devices = await client.devices().catch(() => []);
    return devices.some(({ kind, available }) => kind === 'cuda' && available) ? 'cuda' : 'cpu';
  } finally {
    await client.dispose();
  }
}

/** Undefined where the device can be used; `auto` and `cpu` always can. */
export async function whyNoDevice(wanted: string, { engineModule }: Pick<CommandContext, 'engineModule'>): Promise<string | undefined> {
  if (wanted === 'auto' || wanted === 'cpu') return undefined;
  const client = new EngineClient({ modulePath: engineModule });
  try {
    await chooseDevice(wanted, client);
    return undefined;
  } catch (error) {
    return EngineError.wrap(error).message;
  } finally {
    await client.dispose();
  }
}
