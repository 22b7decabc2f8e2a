// Installs the npm packages of package-lock.json, when node_modules does not hold exactly these already.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, runQuietly } from './command.mjs';
import { step } from './step.mjs';

export async function installNodePackages() {
  if (areNodePackagesCurrent()) return;
  await step('Install npm packages', () => runQuietly('npm', ['ci', '--no-audit', '--no-fund']));
}

/** npm writes what it has installed to node_modules/.package-lock.json as its last act: an interrupted install is not current. */
function areNodePackagesCurrent() {
  const installedFile = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(installedFile)) return false;
  const wanted = readPackages(join(root, 'package-lock.json'));
  const installed = readPackages(installedFile);
  return Object.entries(wanted).every(([path, { version, optional = false, devOptional = false }]) => {
    if (path === '') return true;
    const found = installed[path];
    return found === undefined ? optional || devOptional : found.version === version;
  });
}

/** @typedef {{ readonly version?: string, readonly optional?: boolean, readonly devOptional?: boolean }} LockedPackage */

/** @param {string} file @returns {Readonly<Record<string, LockedPackage>>} */
function readPackages(file) {
  return JSON.parse(readFileSync(file, 'utf8')).packages ?? {};
}
