/** Whole conversions on the GPU, beside what the disk alone takes in the same run. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { timeConversion } from '../convert/conversion';
import { measureDiskFloor, type DiskFloor } from '../convert/diskFloor';
import { writeDitModel } from '../convert/ditModel';
import { canDropCaches, prepareCache, type CacheState } from '../convert/pageCache';
import { LEARNED, type Variant } from '../quality/variants';
import { sameBytesTwice } from './parity';

export interface Round {
  readonly floor: DiskFloor;
  readonly seconds: number;
  readonly convertSeconds: number;
  /** Before the first tensor, where samples are sent through the model. */
  readonly statisticsSeconds: number;
  readonly finishSeconds: number;
  readonly busySeconds: number;
  readonly hostBytes: number;
  readonly deviceBytes: number;
}

export interface Speed {
  readonly fileSize: number;
  readonly parameters: number;
  readonly cache: CacheState;
  readonly rounds: readonly Round[];
  readonly tensors: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly sweeps: number;
    readonly seconds: number;
  }[];
}

export interface SpeedOptions {
  readonly folder: string;
  readonly device: string;
  readonly bytes: number;
  readonly rounds: number;
  readonly caches: readonly CacheState[];
  readonly compareBytes: 'compare' | 'skip';
  /** Default: gram statistics of the inputs. */
  readonly variant?: Variant;
  /** Default: the shapes of a diffusion transformer. */
  readonly writeModel?: typeof writeDitModel;
}

/** Conversion and floor take turns; the model is removed afterwards. */
export async function measureSpeed(options: SpeedOptions): Promise<{ readonly speeds: readonly Speed[]; readonly sameBytes?: boolean }> {
  const { folder, device } = options;
  const { variant = LEARNED, writeModel = writeDitModel } = options;
  const source = join(folder, 'model.safetensors');
  const { parameters, fileSize } = await writeModel(source, options.bytes);
  const convertOptions = [...variant.convertOptions, '--device', device];
  const speeds: Speed[] = [];
  for (const cache of options.caches) {
    if (cache === 'cold' && !canDropCaches()) continue;
    const rounds: Round[] = [];
    let tensors: Speed['tensors'] = [];
    for (let round = 0; round < options.rounds; round++) {
      await prepareCache(cache, source);
      const floor = await measureDiskFloor(source, join(folder, 'half'));
      await prepareCache(cache, source);
      const { seconds, report } = await timeConversion(source, join(folder, 'converted.safetensors'), convertOptions);
      const { summary } = report;
      rounds.push({
        floor,
        seconds,
        convertSeconds: summary.seconds.convert,
        statisticsSeconds: summary.seconds.statistics ?? 0,
        finishSeconds: summary.seconds.finish,
        busySeconds: summary.deviceBusySeconds ?? NaN,
        hostBytes: summary.peakMemoryBytes,
        deviceBytes: summary.peakDeviceMemoryBytes ?? NaN,
      });
      tensors = report.tensors.flatMap((tensor) =>
        tensor.action === 'quantize'
          ? [{ name: tensor.name, shape: tensor.shape, sweeps: tensor.sweeps ?? 0, seconds: tensor.seconds }]
          : [],
      );
    }
    speeds.push({ fileSize, parameters, cache, rounds, tensors: tensors.slice(0, 12) });
  }
  const sameBytes = options.compareBytes === 'compare' ? await sameBytesTwice(source, folder, variant, device) : undefined;
  await rm(source);
  return { speeds, ...(sameBytes === undefined ? {} : { sameBytes }) };
}
