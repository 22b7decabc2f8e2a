// Finds programs on this machine, among them a Chromium for the tests that drive a real workbench.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

const names = ['chromium', 'google-chrome', 'google-chrome-stable', 'chromium-browser', 'microsoft-edge'];

/** Path of a browser that playwright-core can drive, FP8_BROWSER before all others; undefined where there is none. */
export function findBrowser() {
  if (process.env.FP8_BROWSER !== undefined) return process.env.FP8_BROWSER;
  return names.map(findProgram).find((path) => path !== undefined);
}

/** @param {string} name @returns {string | undefined} */
export function findProgram(name) {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
