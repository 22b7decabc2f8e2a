// Packages what is built into out/*.vsix, for the platform the addon was built on.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { noticesPath } from './notices.mjs';
import { root, runQuietly } from './setup/command.mjs';
import { describeFailure } from './setup/step.mjs';

const { name, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const target = `${process.platform}-${process.arch}`;
/** Every file without which the installed extension would not work, or might not be given away. */
const required = [
  'dist/extension.js',
  'dist/engine.js',
  'dist/webview.js',
  'dist/webview.css',
  'build/Release/fp8.node',
  'tools/collect_calibration.py',
  noticesPath,
];

/** The README of the package. */
const readme = 'out/README.md';

export const packagePath = join(root, 'out', `${name}-${version}-${target}.vsix`);

export async function packageExtension() {
  const missing = required.filter((file) => !existsSync(join(root, file)));
  if (missing.length > 0) throw new Error(`Build first: ${missing.join(', ')} is missing.`);
  mkdirSync(join(root, 'out'), { recursive: true });
  writeFileSync(join(root, readme), withPictures(readFileSync(join(root, 'README.md'), 'utf8')));
  const vsce = ['node_modules/@vscode/vsce/vsce', 'package', '--no-dependencies', '--target', target, '--out', packagePath];
  try {
    await runQuietly(process.execPath, [...vsce, '--allow-missing-repository', '--no-rewrite-relative-links', '--readme-path', readme]);
  } finally {
    rmSync(join(root, readme), { force: true });
  }
}

/**
 * The page of an installed extension shows no pictures from its folder, and looks none up on the network: they are part of the text.
 * @param {string} markdown
 */
function withPictures(markdown) {
  return markdown.replace(/!\[([^\]]*)\]\((docs\/[^)]+)\)/g, (_match, /** @type {string} */ label, /** @type {string} */ path) => {
    const data = readFileSync(join(root, path)).toString('base64');
    return `![${label}](data:image/${extname(path).slice(1)};base64,${data})`;
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    await packageExtension();
    console.log(packagePath);
  } catch (error) {
    console.error(describeFailure(error));
    process.exitCode = 1;
  }
}
