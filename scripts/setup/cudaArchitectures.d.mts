/** What the tests see of cudaArchitectures.mjs. */
export function cudaArchitecturesFor(capabilities: readonly string[]): string;
