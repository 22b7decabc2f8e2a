export function convertParameters(given: readonly string[], cwd: string, root: string): readonly string[];
