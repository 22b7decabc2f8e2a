// Who may import whom, as lint rules. One row per folder says which other folders and packages its files may name;
// everything else is refused with the reason. The folders themselves are described in docs/architecture.md.

const anyNodeModule = 'node:';
const toolkit = '@vscode/webview-ui-toolkit';

/** Folders directly under src/, and `extension` for src/extension.ts. */
const layers = ['base', 'rpc', 'engine', 'editor', 'webview', 'cli', 'extension'];
/** Folders directly under src/engine/. */
const engineParts = ['safetensors', 'families', 'plan', 'job', 'inspect', 'native', 'process'];

/** @type {readonly { files: string, except?: readonly string[], layers: readonly string[], engineParts?: readonly string[], packages: readonly string[], why: string }[]} */
const rows = [
  { files: 'src/base/**', layers: [], packages: [], why: 'base holds pure code that runs anywhere: it imports nothing.' },
  {
    files: 'src/rpc/**',
    layers: ['base'],
    packages: [],
    why: 'rpc runs in the browser, the editor and the engine: it imports base alone.',
  },
  {
    files: 'src/engine/*.ts',
    layers: ['base', 'rpc'],
    engineParts: [],
    packages: [anyNodeModule],
    why: 'dtype and errors are under all the rest of the engine.',
  },
  {
    files: 'src/engine/safetensors/**',
    layers: ['base', 'rpc'],
    engineParts: ['safetensors'],
    packages: [anyNodeModule],
    why: 'safetensors knows the file format, not what is done with it.',
  },
  {
    files: 'src/engine/families/**',
    layers: ['base', 'rpc'],
    engineParts: ['safetensors', 'families'],
    packages: [],
    why: 'a family is known by a header alone, before any plan.',
  },
  {
    files: 'src/engine/plan/**',
    layers: ['base', 'rpc'],
    engineParts: ['safetensors', 'families', 'plan'],
    packages: [anyNodeModule],
    why: 'a plan comes before any job and any device.',
  },
  {
    files: 'src/engine/job/**',
    layers: ['base', 'rpc'],
    engineParts: ['safetensors', 'families', 'plan', 'job'],
    packages: [anyNodeModule],
    why: 'a job knows the Quantizer interface, never the addon or the process it runs in.',
  },
  {
    files: 'src/engine/inspect/**',
    layers: ['base', 'rpc'],
    engineParts: ['safetensors', 'families', 'plan', 'job', 'inspect'],
    packages: [anyNodeModule],
    why: 'looking into a file uses what a job uses, and no job waits for it.',
  },
  {
    files: 'src/engine/native/**',
    layers: ['base', 'rpc'],
    engineParts: ['safetensors', 'families', 'plan', 'job', 'native'],
    packages: [anyNodeModule],
    why: 'the addon is one Quantizer; it knows nothing of processes.',
  },
  {
    files: 'src/engine/process/**',
    layers: ['base', 'rpc'],
    engineParts,
    packages: [anyNodeModule],
    why: 'the engine runs in plain Node: it sees base, rpc and Node.',
  },
  {
    files: 'src/editor/**',
    layers: ['base', 'rpc', 'engine', 'editor', 'webview/protocol'],
    packages: [anyNodeModule, 'vscode'],
    why: 'the editor shows what the engine does; it meets the webview in webview/protocol alone.',
  },
  {
    files: 'src/extension.ts',
    layers: ['base', 'rpc', 'engine', 'editor', 'webview/protocol'],
    packages: [anyNodeModule, 'vscode'],
    why: 'extension.ts is wiring.',
  },
  {
    files: 'src/cli/**',
    layers: ['base', 'engine', 'cli'],
    packages: [anyNodeModule],
    why: 'the command line prints what the engine does.',
  },
  {
    files: 'src/webview/**',
    except: ['src/webview/protocol/**', 'src/webview/ui.ts'],
    layers: ['base', 'rpc', 'webview'],
    packages: ['@tanstack/virtual-core', 'uplot'],
    why: 'the webview runs in a browser; its controls come through ui.ts and its data through webview/protocol.',
  },
  { files: 'src/webview/ui.ts', layers: ['base', 'webview'], packages: [toolkit], why: 'ui.ts is the one file that knows the toolkit.' },
  {
    files: 'src/webview/protocol/**',
    layers: ['base', 'rpc'],
    packages: [],
    why: 'both sides import the protocol, so it imports only what both sides may.',
  },
];

/** Flat configuration objects, one for each row. */
export const importBoundaries = rows.map((row) => ({
  name: `import boundaries of ${row.files}`,
  files: [row.files],
  ignores: [...(row.except ?? [])],
  rules: { 'no-restricted-imports': ['error', { patterns: patternsOf(row) }] },
}));

/** @param {(typeof rows)[number]} row */
function patternsOf(row) {
  const message = `${row.files} may not import this: ${row.why}`;
  const packages = row.packages.map((name) => (name.endsWith(':') ? name : `${name}(/|$)`)).join('|');
  const regexes = [packages === '' ? '^[^.]' : `^(?!${packages})[^.]`];
  for (const layer of layers) {
    if (row.layers.includes(layer) || row.files.startsWith(`src/${layer}/`)) continue;
    const inside = row.layers.filter((allowed) => allowed.startsWith(`${layer}/`)).map((allowed) => allowed.slice(layer.length + 1));
    regexes.push(`^[.][./]*/${layer}(/|$)${inside.length > 0 ? `(?!(${inside.join('|')})(/|$))` : ''}`);
  }
  for (const part of engineParts) {
    if (row.engineParts !== undefined && !row.engineParts.includes(part)) regexes.push(`^[.][./]*/(engine/)?${part}/`);
  }
  return regexes.map((regex) => ({ regex, message, caseSensitive: true }));
}
