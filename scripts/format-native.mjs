// Formats the C++ and CUDA sources with clang-format; with --check it changes nothing and fails where something would change.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const check = process.argv.includes('--check');
const files = readdirSync(join(root, 'native'), { recursive: true, encoding: 'utf8' })
  .filter((file) => /\.(h|hpp|cpp|cu|cuh)$/.test(file))
  .map((file) => join('native', file))
  .sort();
const { status, error } = spawnSync('clang-format', [...(check ? ['--dry-run', '--Werror'] : ['-i']), '--style=file', ...files], {
  cwd: root,
  stdio: 'inherit',
});
if (error) console.error(`clang-format cannot be run (${error.message}); on Debian: apt-get install clang-format`);
process.exitCode = status ?? 1;
