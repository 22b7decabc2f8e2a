// Installs the VS Code that the tests run in: code-server, a real VS Code server whose workbench opens in a browser.
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, runQuietly } from './command.mjs';
import { findProgram } from './programs.mjs';
import { step } from './step.mjs';

/** The newest release that runs on Node 20: VS Code 1.100, the oldest that package.json promises to support. */
const hostVersion = '4.100.3';
const folder = join(root, '.cache', `code-server-${hostVersion}`);
const completeMark = join(folder, 'complete');

/** Folder of VS Code's server. */
export const hostFolder = join(folder, 'node_modules/code-server/lib/vscode');

export async function installHost() {
  if (existsSync(completeMark)) return;
  await step(`Install VS Code for the tests (code-server ${hostVersion})`, async () => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
    // The install scripts would compile modules that the tests do not use.
    const install = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-save', '--no-package-lock'];
    await runQuietly('npm', [...install, `code-server@${hostVersion}`], { cwd: folder });
    await runQuietly('npm', [...install, '--omit=dev'], { cwd: hostFolder });
    // An install script would have downloaded ripgrep, without which file search finds nothing.
    const ripgrep = findProgram('rg');
    const binFolder = join(hostFolder, 'node_modules/@vscode/ripgrep/bin');
    if (ripgrep !== undefined && !existsSync(join(binFolder, 'rg'))) {
      mkdirSync(binFolder, { recursive: true });
      symlinkSync(ripgrep, join(binFolder, 'rg'));
    }
    writeFileSync(completeMark, '');
  });
}
