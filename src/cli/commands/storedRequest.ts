/** storedRequest: what the commands that round nothing ask for alike. */
import type { ConvertRequest } from '../../engine/job/convertRequest';
import { defaultRecipe } from '../../engine/plan/recipe';
import type { Arguments } from '../arguments';
import { readMaxShardBytes, readThreads } from '../recipeOptions';

/** Throws UsageError. */
export function storedRequest(given: Arguments, source: string, output: string): ConvertRequest {
  const maxShardBytes = readMaxShardBytes(given);
  return {
    source,
    output,
    ...(maxShardBytes === undefined ? {} : { maxShardBytes }),
    recipe: defaultRecipe(),
    device: 'cpu',
    threads: readThreads(given),
    overwrite: given.has('force') ? 'replace' : 'refuse',
  };
}
