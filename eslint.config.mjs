// Every rule that is added to the presets names its reason.
import js from '@eslint/js';
import tseslint from 'typescript-eslint';
import { importBoundaries } from './scripts/lint/importBoundaries.mjs';

const typescriptFiles = ['**/*.ts'];

/** Syntax that is refused everywhere, each with what to do instead. */
const restrictedSyntax = [
  {
    selector: 'ExportAllDeclaration, ExportNamedDeclaration[source]',
    message: 'No barrels: import from the file that declares it, so that every name has one address.',
  },
  { selector: 'ExportDefaultDeclaration', message: 'No default exports: a thing has one name everywhere.' },
  {
    selector:
      ':function > Identifier.params > TSTypeAnnotation > TSBooleanKeyword, :function > AssignmentPattern.params[right.raw=/^(true|false)$/]',
    message: 'No boolean parameters: a call must say what it asks for. Use a union of words or an options object.',
  },
  { selector: 'TSEnumDeclaration', message: 'Closed sets are unions of strings: they travel between processes as they are.' },
];

export default tseslint.config(
  { ignores: ['node_modules/', 'dist/', 'build/', 'out/', '.cache/'] },
  js.configs.recommended,
  {
    name: 'every file',
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: { eqeqeq: 'error', 'no-restricted-syntax': ['error', ...restrictedSyntax] },
  },
  {
    name: 'TypeScript',
    files: typescriptFiles,
    extends: [...tseslint.configs.strictTypeChecked, ...tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { project: ['tsconfig.json', 'tsconfig.webview.json'], tsconfigRootDir: import.meta.dirname } },
    rules: {
      // Closed sets are unions: a new member must be met in every switch.
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      // A type that only documents should not become a dependency at run time.
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      // Numbers in messages are common and print as meant.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // `() => list.push(x)` as a listener, or handing on a call that returns nothing, is shorter than a block and as clear.
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true }],
      // Asks for what no-non-null-assertion forbids.
      '@typescript-eslint/non-nullable-type-assertion-style': 'off',
      // A string is spread for its code points.
      '@typescript-eslint/no-misused-spread': ['error', { allow: ['string'] }],
      // The first bytes by which file formats are known are control characters.
      'no-control-regex': 'off',
      // `while (true)` in a read loop ends by return or throw.
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: 'only-allowed-literals' }],
      // Some interfaces are asynchronous where one implementation has nothing to wait for.
      '@typescript-eslint/require-await': 'off',
      // A field is left out of a copy by naming it beside the rest.
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true }],
      // The compiler knows which names exist, better than this rule.
      'no-undef': 'off',
    },
  },
  {
    name: 'tests',
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      // A missing value fails the test by itself.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // Tests throw what others may throw, and compare methods without calling them.
      '@typescript-eslint/only-throw-error': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    name: 'scripts',
    files: ['**/*.mjs'],
    languageOptions: {
      globals: Object.fromEntries(
        ['AbortController', 'AbortSignal', 'Buffer', 'URL', 'clearTimeout', 'console', 'fetch', 'performance', 'process', 'setTimeout'].map(
          (name) => [name, 'readonly'],
        ),
      ),
    },
  },
  {
    name: 'files that tools read by their default export',
    files: ['eslint.config.mjs', 'vitest.config.ts', 'scripts/test/vitestResults.mjs'],
    rules: { 'no-restricted-syntax': 'off' },
  },
  { files: ['vitest.config.ts'], extends: [tseslint.configs.disableTypeChecked] },
  ...importBoundaries,
);
