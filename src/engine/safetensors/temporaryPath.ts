/** Where an unfinished output lives: beside the output, under a name that says what it is. */
import { randomBytes } from 'node:crypto';
import { basename, dirname, join } from 'node:path';

const SUFFIX = '.fp8-partial';

/** File systems allow names of 255 bytes; what the prefix, the token and the suffix need is taken off the base name. */
const MAX_BASE_BYTES = 200;

/** `token` tells the unfinished outputs of one path apart; who chooses it can find the file again after a crash. */
export function temporaryPathFor(outputPath: string, token: string = randomToken()): string {
  return join(dirname(outputPath), `.${cutToBytes(basename(outputPath), MAX_BASE_BYTES)}.${token}${SUFFIX}`);
}

export function randomToken(): string {
  return randomBytes(6).toString('hex');
}

function cutToBytes(name: string, bytes: number): string {
  let cut = name;
  while (Buffer.byteLength(cut) > bytes) cut = cut.slice(0, -1);
  return cut;
}
