/** chooseDevice: the device that `auto`, `cpu`, `cuda` or `cuda:N` stands for on this machine. */
import { cpus } from 'node:os';
import { EngineError } from '../errors';
import type { Quantizer, QuantizerDevice } from './quantizer';

export type ChosenDevice = Pick<QuantizerDevice, 'id' | 'kind' | 'name'>;

/** `auto`: the available GPU with most free memory, else the CPU. Throws EngineError DeviceUnavailable with what there is instead. */
export async function chooseDevice(wanted: string, quantizer: Pick<Quantizer, 'devices'>): Promise<ChosenDevice> {
  // Without looking for GPUs, which takes time and memory where there are some.
  if (wanted === 'cpu') return { id: 'cpu', kind: 'cpu', name: cpus()[0]?.model ?? 'CPU' };
  const devices = await quantizer.devices();
  const [bestGpu] = devices
    .filter(({ kind, available }) => kind === 'cuda' && available)
    .sort((a, b) => (b.freeMemoryBytes ?? 0) - (a.freeMemoryBytes ?? 0));
  const found = named(wanted, bestGpu, devices);
  if (found?.available === true) return found;
  const reason = (found ?? devices.find(({ kind }) => kind === 'cuda'))?.reason ?? 'this machine has no such device';
  const usable = devices.filter(({ available }) => available).map(({ id }) => id);
  const remedy = usable.length === 0 ? 'No device can be used here.' : `Choose ${usable.join(' or ')}, or auto.`;
  throw new EngineError('DeviceUnavailable', `The device ${wanted} cannot be used: ${reason.replace(/\.$/, '')}. ${remedy}`);
}

function named(wanted: string, bestGpu: QuantizerDevice | undefined, devices: readonly QuantizerDevice[]): QuantizerDevice | undefined {
  switch (wanted) {
    case 'auto':
      return bestGpu ?? devices.find(({ kind }) => kind === 'cpu');
    case 'cuda':
      return bestGpu;
    default:
      return devices.find(({ id }) => id === wanted);
  }
}
