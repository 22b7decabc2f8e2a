// Collects the licences of everything in the package that others have written, into one file that ships with it.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Its ending is one that the package takes along. */
export const noticesPath = 'dist/third-party.LEGAL.txt';

/** @param {readonly string[]} inputs the files that the bundles are made of */
export function writeNotices(inputs) {
  writeFileSync(join(root, noticesPath), noticesOf(inputs));
}

/** Throws where a licence cannot be given. @param {readonly string[]} inputs */
export function noticesOf(inputs) {
  const packages = [...new Set(inputs.flatMap((input) => packageFolder(input) ?? []))].sort();
  const native = readdirSync(join(root, 'licenses')).sort();
  const notices = [...native.map((file) => read(join('licenses', file))), ...packages.map(packageNotice)];
  const intro = 'FP8 Quantizer for Safetensors contains software by others, under these licences.';
  return `${[intro, ...notices.map((notice) => notice.trim())].join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
}

/** `node_modules/@scope/name` of `node_modules/@scope/name/dist/x.js`, the innermost where they are nested. @param {string} input */
function packageFolder(input) {
  return /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0];
}

/** @param {string} folder */
function packageNotice(folder) {
  const { name, license, author } = JSON.parse(read(join(folder, 'package.json')));
  const file = readdirSync(join(root, folder)).find((entry) => /^(licen[cs]e|copying)(\.\w+)?$/i.test(entry));
  const title = `${name}, in the bundles in dist/ (${license})`;
  if (file !== undefined) return `${title}\n\n${read(join(folder, file)).trim()}`;
  if (license !== 'MIT') throw new Error(`${folder} has no licence file, and its licence ${license} cannot be given without one.`);
  // Some packages name their licence and leave its text out: the text of the MIT licence is always the same.
  const holder = typeof author === 'string' ? author : author?.name;
  if (!holder) throw new Error(`${folder} has neither a licence file nor an author.`);
  const [, ...terms] = read('LICENSE').split(/^Copyright .*$/m);
  return `${title}\n\nMIT License\n\nCopyright (c) ${holder}\n\n${terms.join('').trim()}`;
}

/** @param {string} path */
function read(path) {
  return readFileSync(join(root, path), 'utf8');
}
