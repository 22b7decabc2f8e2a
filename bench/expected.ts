/** What every reader of a model must arrive at: a hash of each tensor's numbers, and the logits of one row of tokens by our own forward pass. */
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { forward, loadLlama } from './model/llama';
import { readTensorFile, tensorBytes } from './model/tensorFile';

const USAGE = `Writes what a model's numbers come to, for readers that are not ours.

  node bench/run.mjs expected VALUES OUT

  VALUES   a model in F32, as \`fp8 dequantize --dtype f32\` writes it
  OUT      JSON: SHA-256 of each tensor's bytes, and the logits of the tokens 0 to 95
`;

const TOKENS = Uint8Array.from({ length: 96 }, (_, index) => index);

async function main([valuesPath, outPath]: readonly string[]): Promise<void> {
  if (valuesPath === undefined || outPath === undefined) {
    process.stdout.write(USAGE);
    return;
  }
  const file = await readTensorFile(valuesPath);
  const sha256 = Object.fromEntries(
    file.header.tensors.map((tensor) => [tensor.name, createHash('sha256').update(tensorBytes(file, tensor)).digest('hex')]),
  );
  const { values } = forward(loadLlama(file), TOKENS);
  const logits = Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64');
  await writeFile(outPath, JSON.stringify({ sha256, logits }));
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`expected: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
