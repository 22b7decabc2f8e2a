/** The reasons for which a file is refused, named as the reference reader names them. */
import { EngineError } from '../errors';

export type ReferenceRule =
  | 'HeaderTooSmall'
  | 'HeaderTooLarge'
  | 'InvalidHeaderLength'
  | 'InvalidHeader'
  | 'InvalidHeaderDeserialization'
  | 'InvalidOffset'
  | 'ValidationOverflow'
  | 'MisalignedSlice'
  | 'TensorInvalidInfo'
  | 'MetadataIncompleteBuffer';

/** `message` says what is wrong and what to do. */
export function invalid(rule: ReferenceRule, message: string, tensor?: string): EngineError {
  return new EngineError('InvalidSafetensors', message, tensor === undefined ? { rule } : { rule, tensor });
}

/** A tensor's name for a message; one that would fill the screen is cut in the middle. */
export function quoted(name: string): string {
  return JSON.stringify(name.length <= 120 ? name : `${name.slice(0, 80)}…${name.slice(-30)}`);
}
