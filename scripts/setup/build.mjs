// Builds what has changed: the addon when its sources are newer than it, the bundles each time, for that takes less than a second.
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { root, runQuietly } from './command.mjs';
import { step } from './step.mjs';

const addon = join(root, 'build/Release/fp8.node');
/** All that the addon is made of. */
const addonSources = ['native', 'scripts/build-native.mjs', 'package-lock.json'];

export async function buildAddon() {
  if (isAddonCurrent()) return;
  await step('Build the native addon', () => runQuietly(process.execPath, ['scripts/build-native.mjs']));
}

export async function buildBundles() {
  await step('Bundle', () => runQuietly(process.execPath, ['esbuild.mjs']));
}

function isAddonCurrent() {
  const built = modifiedAt(addon);
  return built > 0 && addonSources.every((source) => newestIn(join(root, source)) < built);
}

/** @param {string} path */
function newestIn(path) {
  const entries = statSync(path).isDirectory() ? readdirSync(path, { recursive: true, encoding: 'utf8' }) : [];
  return Math.max(modifiedAt(path), ...entries.map((entry) => modifiedAt(join(path, entry))));
}

/** Milliseconds since 1970; 0 where there is no such file. @param {string} path */
function modifiedAt(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
