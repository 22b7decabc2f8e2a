/** errorText: an error as one line that names file, tensor and remedy. Pure. */
import type { SerializedError } from '../../engine/errors';
import { printable } from './text';

export function errorText({ code, message, path, tensor }: SerializedError): string {
  const named = path === undefined || message.includes(path) ? message : `${path}: ${message}`;
  const whole = tensor === undefined || message.includes(tensor) ? named : `${named.replace(/\.$/, '')} (tensor "${tensor}").`;
  const remedy = code === 'OutputExists' ? whole.replace(/allow it to be (overwritten|replaced)\.$/, 'overwrite it with --force.') : whole;
  return `fp8: error: ${printable(remedy.replace(/\s*\n\s*/g, ' '))}`;
}
