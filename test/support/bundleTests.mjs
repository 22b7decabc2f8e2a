// Bundles TypeScript tests into .cache/, from where they can still require packages out of node_modules.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * One CommonJS file for each entry, under `.cache/<folder>/`; returns that folder.
 * @param {string} folder
 * @param {readonly string[] | Readonly<Record<string, string>>} entryPoints
 */
export async function bundleTests(folder, entryPoints) {
  const outdir = join(root, '.cache', folder);
  rmSync(outdir, { recursive: true, force: true });
  await build({
    absWorkingDir: root,
    entryPoints,
    outdir,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    packages: 'external',
    external: ['vscode'],
    sourcemap: 'inline',
    logLevel: 'warning',
  });
  return outdir;
}
