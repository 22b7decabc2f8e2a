/**
 * Opening a file of 20,000 tensors: read, parse, validate and plan, each run from a fresh file handle.
 *
 * The first figure is the one that a user feels: a process that has just started and runs everything for the first time.
 */
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makePlan } from '../src/engine/plan/makePlan';
import { defaultRecipe } from '../src/engine/plan/recipe';
import { layOut } from '../src/engine/safetensors/layout';
import { readHeader } from '../src/engine/safetensors/reader';

const TENSORS = 20_000;
const RUNS = 21;
const LIMIT_MILLISECONDS = 150;

void main();

async function main(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'fp8-open-'));
  try {
    const path = join(folder, 'wide.safetensors');
    const headerBytes = await writeModel(path);
    const opened = await timed(() => readHeader(path));
    const first = { open: opened.milliseconds, plan: 0 };
    const planned = await timed(async () => makePlan(opened.value, defaultRecipe(), { toolVersion: 'bench' }));
    first.plan = planned.milliseconds;
    const warm: number[] = [];
    for (let run = 0; run < RUNS; run += 1) warm.push((await timed(() => readHeader(path))).milliseconds);
    warm.sort((a, b) => a - b);
    const quantized = planned.value.tensors.filter(({ action }) => action === 'quantize').length;
    print(`file         ${TENSORS} tensors (${quantized} to quantize), header ${(headerBytes / 1e6).toFixed(2)} MB`);
    print(`open, first  ${first.open.toFixed(1)} ms (limit ${LIMIT_MILLISECONDS} ms)`);
    print(`open, warm   ${(warm[RUNS >> 1] ?? 0).toFixed(1)} ms median of ${RUNS}, ${(warm[0] ?? 0).toFixed(1)} ms best`);
    print(`plan, first  ${first.plan.toFixed(1)} ms`);
    if (first.open > LIMIT_MILLISECONDS) process.exitCode = 1;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** A deep transformer's names and shapes; the data is a hole in the file. Returns the length of the header. */
async function writeModel(path: string): Promise<number> {
  const parts = [
    'attn.q.weight',
    'attn.k.weight',
    'attn.v.weight',
    'attn.o.weight',
    'mlp.up.weight',
    'mlp.down.weight',
    'norm.weight',
    'norm.bias',
  ];
  const tensors = Array.from({ length: TENSORS }, (_, index) => {
    const part = parts[index % parts.length] ?? '';
    const shape = part.startsWith('norm') ? [64] : [64, 64];
    const name = `model.diffusion_model.blocks.${Math.floor(index / parts.length)}.${part}`;
    return { name, dtype: 'BF16' as const, shape, byteLength: 2 * shape.reduce((a, b) => a * b, 1) };
  });
  const { headerBytes, fileSize } = layOut(tensors, new Map([['format', 'pt']]));
  await writeFile(path, headerBytes);
  await truncate(path, fileSize);
  return headerBytes.length;
}

async function timed<T>(work: () => Promise<T>): Promise<{ readonly value: T; readonly milliseconds: number }> {
  const start = performance.now();
  const value = await work();
  return { value, milliseconds: performance.now() - start };
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
