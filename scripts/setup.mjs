// Makes a fresh machine ready to build, and with --test to test: what is there already is left alone.
import { pathToFileURL } from 'node:url';
import { installHost } from './setup/host.mjs';
import { installNodePackages } from './setup/nodePackages.mjs';
import { describeFailure, printLine } from './setup/step.mjs';
import { installSystemPackages } from './setup/systemPackages.mjs';

/** @param {'build' | 'test'} purpose */
export async function setUp(purpose) {
  requireNode();
  await allOf([installSystemPackages(purpose), installNodePackages()]);
}

/** Waits for all, then throws what went wrong: a failing step must neither leave another one running nor hide its failure. @param {readonly Promise<unknown>[]} steps */
export async function allOf(steps) {
  const results = await Promise.allSettled(steps);
  const reasons = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  if (reasons.length > 0) throw new AggregateError(reasons);
}

function requireNode() {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < 20) throw new Error(`Node 20 or newer is needed; this is ${process.version}.`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const forTest = process.argv.includes('--test');
  try {
    await setUp(forTest ? 'test' : 'build');
    if (forTest) await installHost();
  } catch (error) {
    printLine(describeFailure(error));
    process.exitCode = 1;
  }
}
