// What the build and the tests need from the operating system, and how it is installed on Debian and its relatives.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { runQuietly } from './command.mjs';
import { findBrowser, findProgram } from './programs.mjs';
import { step } from './step.mjs';

const multiarch = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
const includeFolders = ['/usr/include', `/usr/include/${multiarch}`, '/usr/local/include'];
const libraryFolders = ['/usr/lib', `/usr/lib/${multiarch}`, '/usr/lib64', '/usr/local/lib'];

/** @typedef {{ readonly package: string, readonly isPresent: () => boolean }} Requirement */

/** @type {readonly Requirement[]} */
const forBuild = [
  { package: 'g++', isPresent: () => hasProgram('g++') || hasProgram('clang++') },
  { package: 'cmake', isPresent: () => hasProgram('cmake') },
  { package: 'ninja-build', isPresent: () => hasProgram('ninja') },
  { package: 'libopenblas-dev', isPresent: () => hasHeader('cblas.h') && hasLibrary('libopenblas.a') },
  { package: 'libhwy-dev', isPresent: () => hasHeader('hwy/highway.h') },
];

/** @type {readonly Requirement[]} */
const forTests = [
  { package: 'libgtest-dev', isPresent: () => hasHeader('gtest/gtest.h') },
  { package: 'clang-format', isPresent: () => hasProgram('clang-format') },
  { package: 'chromium', isPresent: () => findBrowser() !== undefined },
  { package: 'ripgrep', isPresent: () => hasProgram('rg') },
  { package: 'python3-numpy', isPresent: hasNumpy },
];

/**
 * Installs what is missing; throws a sentence that names it, with the command to run, where this process may not install packages.
 * @param {'build' | 'test'} purpose
 */
export async function installSystemPackages(purpose) {
  const missing = (purpose === 'test' ? [...forBuild, ...forTests] : forBuild)
    .filter(({ isPresent }) => !isPresent())
    .map((one) => one.package);
  if (missing.length === 0) return;
  const command = `apt-get update && apt-get install -y --no-install-recommends ${missing.join(' ')}`;
  if (!hasProgram('apt-get')) {
    throw new Error(
      `This machine lacks what these Debian packages hold; install their like with its own package manager: ${missing.join(', ')}`,
    );
  }
  const prefix = await rootPrefix();
  if (prefix === undefined) {
    const asRoot = command.replaceAll('apt-get', 'sudo apt-get');
    throw new Error(`These packages are missing and need root to install: ${missing.join(', ')}. Run this, then try again:\n  ${asRoot}`);
  }
  await step(`Install Debian packages: ${missing.join(', ')}`, async () => {
    // Another apt may hold the lock, for example a machine's daily update: wait for it.
    const apt = (/** @type {readonly string[]} */ parameters) => {
      const [program = '', ...rest] = [
        ...prefix,
        'env',
        'DEBIAN_FRONTEND=noninteractive',
        'apt-get',
        '-o',
        'DPkg::Lock::Timeout=300',
        ...parameters,
      ];
      return runQuietly(program, rest);
    };
    await apt(['update']);
    await apt(['install', '-y', '--no-install-recommends', ...missing]);
  });
}

/** What to put before a command that needs root: nothing for root itself, undefined where root is out of reach without a password. */
async function rootPrefix() {
  if (process.getuid?.() === 0) return [];
  if (!hasProgram('sudo')) return undefined;
  const granted = await runQuietly('sudo', ['-n', 'true']).then(
    () => true,
    () => false,
  );
  return granted ? ['sudo', '-n'] : undefined;
}

/** Beside whichever Python comes first; the tests of loaders take either. */
function hasNumpy() {
  if (existsSync('/usr/lib/python3/dist-packages/numpy')) return true;
  return spawnSync('python3', ['-c', 'import numpy'], { stdio: 'ignore' }).status === 0;
}

/** @param {string} name */
const hasProgram = (name) => findProgram(name) !== undefined;
/** @param {string} name */
const hasHeader = (name) => includeFolders.some((folder) => existsSync(`${folder}/${name}`));
/** @param {string} name */
const hasLibrary = (name) => libraryFolders.some((folder) => existsSync(`${folder}/${name}`));
