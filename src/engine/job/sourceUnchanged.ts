/** sourceUnchanged: notices that a source became another one while it was read. */
import { EngineError } from '../errors';
import { fileIdentity } from '../safetensors/fileIdentity';
import type { ModelSource } from '../safetensors/modelSource';

/** Throws EngineError FileChanged unless the paths still lead to the same bytes, as far as size and time of change tell. */
export async function requireUnchanged({ files, identities }: ModelSource): Promise<void> {
  const now = await Promise.all(files.map(fileIdentity));
  const changed = files.find((_file, index) => now[index] !== identities[index]);
  if (changed === undefined) return;
  throw new EngineError('FileChanged', `${changed} changed while it was read. Wait until nothing writes to it, then try again.`, {
    path: changed,
  });
}
