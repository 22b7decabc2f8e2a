import { describe, expect, it } from 'vitest';
import { chooseDevice } from '../../../../src/engine/job/chooseDevice';
import type { Quantizer, QuantizerDevice } from '../../../../src/engine/job/quantizer';

const CPU: QuantizerDevice = { id: 'cpu', kind: 'cpu', name: 'a processor', available: true };
const gpu = (index: number, freeMemoryBytes: number): QuantizerDevice => ({
  id: `cuda:${index}`,
  kind: 'cuda',
  name: `GPU ${index}`,
  available: true,
  freeMemoryBytes,
});
const NO_DRIVER: QuantizerDevice = { id: 'cuda', kind: 'cuda', name: 'CUDA', available: false, reason: 'There is no NVIDIA driver.' };

function machine(...devices: readonly QuantizerDevice[]): Quantizer {
  return {
    devices: () => Promise.resolve(devices),
    run: () => {
      throw new Error('nothing runs here');
    },
  };
}

describe('chooseDevice', () => {
  it('auto takes the GPU with most free memory, else the CPU', async () => {
    expect((await chooseDevice('auto', machine(gpu(0, 10), gpu(1, 30), gpu(2, 20), CPU))).id).toBe('cuda:1');
    expect((await chooseDevice('auto', machine(NO_DRIVER, CPU))).id).toBe('cpu');
    expect((await chooseDevice('auto', machine({ ...gpu(0, 99), available: false }, gpu(1, 1), CPU))).id).toBe('cuda:1');
  });

  it('cuda takes the best GPU and never the CPU', async () => {
    expect((await chooseDevice('cuda', machine(gpu(0, 10), gpu(1, 30), CPU))).id).toBe('cuda:1');
    await expect(chooseDevice('cuda', machine(NO_DRIVER, CPU))).rejects.toMatchObject({
      code: 'DeviceUnavailable',
      message: 'The device cuda cannot be used: There is no NVIDIA driver. Choose cpu, or auto.',
    });
  });

  it('a named device is that one or an error that names the others', async () => {
    expect((await chooseDevice('cuda:0', machine(gpu(0, 10), gpu(1, 30), CPU))).id).toBe('cuda:0');
    await expect(chooseDevice('cuda:7', machine(gpu(0, 10), CPU))).rejects.toThrow(
      'The device cuda:7 cannot be used: this machine has no such device. Choose cuda:0 or cpu, or auto.',
    );
    await expect(chooseDevice('cuda:0', machine({ ...gpu(0, 1), available: false, reason: 'Too old.' }, CPU))).rejects.toThrow('Too old.');
  });

  it('cpu does not look for GPUs', async () => {
    const quantizer = { ...machine(), devices: () => Promise.reject(new Error('looked')) };
    expect(await chooseDevice('cpu', quantizer)).toMatchObject({ id: 'cpu', kind: 'cpu' });
  });
});
