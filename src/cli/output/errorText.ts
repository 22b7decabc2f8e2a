/** errorText: an error as one line that names file, tensor and remedy. Pure. */
import type { SerializedError } from '../../engine/errors';
import { commandWords } from './commandWords';
import { printable } from './text';

export function errorText({ message, path, tensor }: SerializedError): string {
  const named = path === undefined || message.includes(path) ? message : `${path}: ${message}`;
  const whole = tensor === undefined || message.includes(tensor) ? named : `${named.replace(/\.$/, '')} (tensor "${tensor}").`;
  return `fp8: error: ${printable(commandWords(whole).replace(/\s*\n\s*/g, ' '))}`;
}
