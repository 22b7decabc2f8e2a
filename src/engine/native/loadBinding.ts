/** loadBinding: finds and loads the native addon, or says what is missing and how to get it. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { EngineError } from '../errors';
import type { NativeBinding } from './binding';

/** Relative to the bundles in `dist/`. `FP8_NATIVE` names another file. */
const ADDON = '../build/Release/fp8.node';

/** Throws EngineError NativeUnavailable. `bundleFolder` is the folder of the running bundle. */
export function loadBinding(bundleFolder: string, environment: NodeJS.ProcessEnv = process.env): NativeBinding {
  const chosen = environment['FP8_NATIVE'];
  const path = chosen === undefined || chosen === '' ? resolve(bundleFolder, ADDON) : resolve(chosen);
  if (!existsSync(path)) {
    const remedy = chosen ? 'FP8_NATIVE names this file; correct or unset it.' : 'Build it with: npm run build:native';
    throw new EngineError('NativeUnavailable', `The native part ${path} is missing. ${remedy}`, { path });
  }
  let loaded: unknown;
  try {
    loaded = createRequire(join(bundleFolder, 'engine.js'))(path);
  } catch (error) {
    throw new EngineError('NativeUnavailable', `The native part ${path} does not load: ${whyNot(error)}`, { path }, { cause: error });
  }
  if (!isBinding(loaded)) {
    throw new EngineError('NativeUnavailable', `${path} is not the native part of fp8. Build it with: npm run build:native`, { path });
  }
  return loaded;
}

function whyNot(error: unknown): string {
  const message = (error instanceof Error ? error.message : String(error)).replace(/\s+/g, ' ').replace(/\.$/, '');
  if (/invalid ELF header|wrong ELF class|Exec format|mach-o|not a valid Win32/i.test(message)) {
    return `it was built for another system (this is ${process.platform} ${process.arch}). Build it here with: npm run build:native`;
  }
  const missing = /(\S+\.so[.\d]*): cannot open shared object file/.exec(message)?.[1];
  if (missing !== undefined)
    return `the library ${missing} is missing on this machine. Install it, or build again with: npm run build:native`;
  if (/GLIBC|GLIBCXX|version `/.test(message))
    return `this system is older than the one it was built on (${message}). Build it here with: npm run build:native`;
  return `${message}. Build it again with: npm run build:native`;
}

function isBinding(loaded: unknown): loaded is NativeBinding {
  return (
    typeof loaded === 'object' &&
    loaded !== null &&
    'devices' in loaded &&
    typeof loaded.devices === 'function' &&
    'startJob' in loaded &&
    typeof loaded.startJob === 'function'
  );
}
