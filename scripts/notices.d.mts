/** What the tests see of notices.mjs. */
export function noticesOf(inputs: readonly string[]): string;
