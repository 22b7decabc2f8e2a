// What `npm start` hands to `fp8 convert`: what the user gave, and the bundled model where that names none.
import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';

const sample = 'samples/kjv-lm.safetensors';
const out = 'out';

/**
 * @param {readonly string[]} given @param {string} cwd where the user typed it @param {string} root of the repository
 * @returns {string[]}
 */
export function convertParameters(given, cwd, root) {
  if (given.length === 0) return ['--input', sample, '--output', `${out}/kjv-lm_fp8_e4m3fn_scaled.safetensors`, '--force'];
  if (given.some((word, index) => asksForHelp(word) || namesInput(word, given[index - 1] ?? '', cwd))) return [...given];
  const hasOutput = given.some((word) => /^(-o|--output)(=|$)/.test(word));
  return ['--input', join(root, sample), ...(hasOutput ? [] : ['--output', `${join(root, out)}/`, '--force']), ...given];
}

/** @param {string} word */
function asksForHelp(word) {
  return word === '-h' || word === '--help';
}

/** A model, which is an option's value or stands alone; other options have files as well. @param {string} word @param {string} before @param {string} cwd */
function namesInput(word, before, cwd) {
  if (/^(-i|--input)(=|$)/.test(word)) return true;
  if (word.startsWith('-') || /^(-o|--(output|report|recipe|calibration))$/.test(before)) return false;
  return !before.startsWith('-') || /\.(safetensors|sft|index\.json)$/i.test(word) || isFolder(resolve(cwd, word));
}

/** @param {string} path */
function isFolder(path) {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
