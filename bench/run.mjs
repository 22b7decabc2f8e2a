// Runs a benchmark: `node bench/run.mjs NAME [arguments]` bundles bench/NAME.ts and gives it the rest of the command line.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const [name = '', ...rest] = process.argv.slice(2);
const entry = `${root}bench/${name}.ts`;

if (!/^\w+$/.test(name) || !existsSync(entry)) {
  process.stderr.write(
    `There is no benchmark ${name === '' ? 'without a name' : name}: usage is node bench/run.mjs NAME, with bench/NAME.ts.\n`,
  );
  process.exitCode = 2;
} else {
  const bundle = `${root}.cache/bench/${name}.cjs`;
  await esbuild.build({
    entryPoints: [entry],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    sourcemap: 'inline',
  });
  const child = spawn(process.execPath, ['--enable-source-maps', bundle, ...rest], { cwd: root, stdio: 'inherit' });
  child.on('exit', (code, signal) => {
    process.exitCode = signal === null ? (code ?? 1) : 1;
  });
}
