/** UsageError: the command line itself is wrong. The program then exits with code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';

  /** `help`: what to type for how it is done. */
  constructor(
    message: string,
    readonly help = 'fp8 --help',
  ) {
    super(message);
  }
}
