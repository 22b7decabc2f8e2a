// Bundles the TypeScript: `node esbuild.mjs [--watch] [bundle ...]`, all bundles when none is named.
// Without --watch the bundles are what ships: minified, no source maps, and the webview held under its size limit.
import { chmod, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import * as esbuild from 'esbuild';
import { writeNotices } from './scripts/notices.mjs';

const root = fileURLToPath(new URL('.', import.meta.url));
/** The webview is read from the extension's folder each time an editor opens, over the network in a remote workspace. */
const webviewLimitBytes = 400_000;
/** A crash in native code must not take the editor or the command line down: the engine's process alone loads the addon. */
const addonLoaders = { folder: 'src/engine/native/', allowedIn: 'dist/engine.js' };

const { values, positionals } = parseArgs({ options: { watch: { type: 'boolean', default: false } }, allowPositionals: true });
const { version } = JSON.parse(await readFile(new URL('package.json', import.meta.url), 'utf8'));

/** @type {esbuild.BuildOptions} */
const common = {
  absWorkingDir: root,
  bundle: true,
  outdir: 'dist',
  define: { FP8_VERSION: JSON.stringify(version) },
  minify: !values.watch,
  // Names of classes and functions appear in error messages and logs.
  keepNames: true,
  sourcemap: values.watch,
  legalComments: 'linked',
  metafile: true,
  logLevel: 'warning',
};
/** @type {esbuild.BuildOptions} */
const node = { ...common, platform: 'node', format: 'cjs', target: 'node20', external: ['vscode', '*.node'] };

/** @type {Readonly<Record<string, esbuild.BuildOptions>>} */
const bundles = {
  extension: { ...node, entryPoints: { extension: 'src/extension.ts' } },
  engine: { ...node, entryPoints: { engine: 'src/engine/process/main.ts' } },
  fp8: { ...node, entryPoints: { fp8: 'src/cli/main.ts' }, banner: { js: '#!/usr/bin/env node' } },
  webview: {
    ...common,
    platform: 'browser',
    format: 'iife',
    target: 'chrome120',
    keepNames: false,
    entryPoints: { webview: 'src/webview/main.ts' },
  },
};

const names = positionals.length > 0 ? positionals : Object.keys(bundles);
for (const name of names) {
  if (!Object.hasOwn(bundles, name)) throw new Error(`No bundle is called ${name}; there are ${Object.keys(bundles).join(', ')}.`);
}

if (values.watch) {
  const contexts = await Promise.all(names.map((name) => esbuild.context({ ...bundles[name], logLevel: 'info' })));
  await Promise.all(contexts.map((context) => context.watch()));
} else {
  try {
    const results = await Promise.all(names.map((name) => esbuild.build(bundles[name])));
    for (const { metafile } of results) {
      for (const [file, output] of Object.entries(metafile.outputs)) check(file, output);
    }
    if (names.length === Object.keys(bundles).length) writeNotices(results.flatMap(({ metafile }) => Object.keys(metafile.inputs)));
    if (names.includes('fp8')) await chmod(new URL('dist/fp8.js', import.meta.url), 0o755);
  } catch (error) {
    // esbuild has already printed each error with its place.
    if (!(error instanceof Error) || !('errors' in error)) throw error;
    process.exitCode = 1;
  }
}

/** @param {string} file @param {esbuild.Metafile['outputs'][string]} output */
function check(file, { bytes, inputs }) {
  if (!/\.(js|css)$/.test(file)) return;
  process.stdout.write(`${file.padEnd(20)} ${(bytes / 1000).toFixed(1).padStart(7)} kB\n`);
  if (file === 'dist/webview.js' && bytes > webviewLimitBytes) fail(`${file} is larger than its limit of ${webviewLimitBytes / 1000} kB.`);
  const loader = Object.entries(inputs).find(([input, { bytesInOutput }]) => input.startsWith(addonLoaders.folder) && bytesInOutput > 0);
  if (loader !== undefined && file !== addonLoaders.allowedIn)
    fail(`${file} holds ${loader[0]}; only ${addonLoaders.allowedIn} may load the addon.`);
}

/** @param {string} message */
function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exitCode = 1;
}
