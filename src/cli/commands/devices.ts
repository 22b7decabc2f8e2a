/** `fp8 devices`: what can compute here, and why something cannot. */
import { formatBytes, formatQuantity } from '../../base/format';
import type { QuantizerDevice } from '../../engine/job/quantizer';
import { EngineClient } from '../../engine/process/engineClient';
import { Arguments } from '../arguments';
import { EXIT, type CommandContext, type ExitCode } from '../command';
import { DEVICES_OPTIONS } from '../options';
import { printable, table } from '../output/text';
import type { Style } from '../output/terminal';
import { UsageError } from '../usageError';

export async function devices(words: readonly string[], { terminal, engineModule }: CommandContext): Promise<ExitCode> {
  const given = Arguments.parse(words, DEVICES_OPTIONS);
  const [unexpected] = given.positionals;
  if (unexpected !== undefined) throw new UsageError(`fp8 devices takes no "${unexpected}"`);
  const client = new EngineClient({ modulePath: engineModule });
  try {
    const found = await client.devices();
    terminal.print(given.has('json') ? JSON.stringify(found, undefined, 2) : devicesText(found, terminal.style));
  } finally {
    await client.dispose();
  }
  return EXIT.done;
}

function devicesText(found: readonly QuantizerDevice[], style: Style): string {
  return table(
    [
      { title: 'device', align: 'left' },
      { title: 'name', align: 'left' },
      { title: '', align: 'left' },
    ],
    found.map((device) => [
      device.id,
      printable(device.name),
      device.available ? detailsOf(device) : `not available: ${printable(device.reason ?? 'unknown')}`,
    ]),
    style.dim,
  ).join('\n');
}

function detailsOf(device: QuantizerDevice): string {
  const { memoryBytes, freeMemoryBytes, computeCapability, driverVersion, threads, instructionSet } = device;
  return [
    ...(threads === undefined ? [] : [formatQuantity(threads, 'thread')]),
    ...(instructionSet ? [instructionSet] : []),
    ...(memoryBytes === undefined
      ? []
      : [`${formatBytes(memoryBytes)}${freeMemoryBytes === undefined ? '' : ` (${formatBytes(freeMemoryBytes)} free)`}`]),
    ...(computeCapability ? [`compute capability ${computeCapability}`] : []),
    ...(driverVersion ? [`driver ${driverVersion}`] : []),
  ].join(' · ');
}
