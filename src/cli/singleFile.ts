/** singleFile: the one file that a command is about, named by an option or standing alone. Pure. */
import type { Arguments } from './arguments';
import type { CommandName } from './help';
import { UsageError } from './usageError';

/** Throws UsageError. */
export function singleFile(given: Arguments, command: CommandName): string {
  const { positionals } = given;
  const option = given.text('input');
  const files = option === undefined ? positionals : [option, ...positionals];
  const [file, second] = files;
  if (file === undefined || file === '') throw new UsageError(`which file? fp8 ${command} FILE`);
  if (second !== undefined) {
    const meant = command === 'verify' && files.length === 2 ? `; did you mean fp8 verify ${file} --against ${second}?` : '';
    throw new UsageError(`one file at a time: "${file}" and "${second}" are two${meant}`);
  }
  return file;
}
