/** Rules of the repository that no other tool holds. CONTRIBUTING.md gives the reason of each. */
import { dirname, join, normalize } from 'node:path';
import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { findCycles, headingAnchors, markdownLinks, relativeImports, repositoryFiles } from '../support/repository';

const root = join(import.meta.dirname, '../..');
const files = repositoryFiles(root);
const isCode = (path: string) => /\.(ts|mjs|h|cpp|cu|cuh|css|py)$/.test(path);
const codeFiles = files.filter(({ path }) => isCode(path));
const markdownFiles = files.filter(({ path }) => path.endsWith('.md'));

test('no code file is longer than 400 lines', () => {
  const long = codeFiles.map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 })).filter(({ lines }) => lines > 400);
  expect(long).toEqual([]);
});

test('no mark of unfinished work is left', () => {
  // Spelled so that this file has none itself.
  const marks = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK'].join('|')})\\b`);
  expect(matches(files, marks)).toEqual([]);
});

test('no file names a package registry or a folder of one machine', () => {
  const places = new RegExp(['registry\\.(npmjs|yarnpkg)\\b', '(?<![\\w.~}])/(work|root|Users)/', '/home/[a-z]+/'].join('|'));
  expect(
    matches(
      files.filter(({ path }) => path !== 'test/unit/tidy.test.ts'),
      places,
    ),
  ).toEqual([]);
});

describe('package-lock.json', () => {
  const text = files.find(({ path }) => path === 'package-lock.json')?.text ?? '{}';
  const { packages } = JSON.parse(text) as {
    packages: Record<string, { version?: string; optionalDependencies?: Record<string, string> }>;
  };

  test('leaves the choice of registry to the machine', () => {
    expect(Object.keys(packages).length).toBeGreaterThan(100);
    expect(text).not.toContain('"resolved"');
  });

  test('names every package of every platform, without which npm ci refuses it', () => {
    const incomplete = Object.entries(packages).flatMap(([path, { version, optionalDependencies = {} }]) => [
      ...(version === undefined ? [path] : []),
      ...Object.keys(optionalDependencies).filter((name) => !Object.keys(packages).some((known) => known.endsWith(`node_modules/${name}`))),
    ]);
    expect(incomplete).toEqual([]);
  });
});

describe('TypeScript', () => {
  const paths = new Set(files.map(({ path }) => path));
  const sources = files.filter(({ path }) => /^(src|test|bench)\/.*\.ts$/.test(path));
  const imports = new Map(sources.map((file) => [file.path, relativeImports(file, (path) => paths.has(path))]));

  test('every relative import is seen by these checks', () => {
    const unknown = [...imports].flatMap(([path, targets]) =>
      targets.filter((target) => !paths.has(target)).map((target) => `${path} → ${target}`),
    );
    expect(unknown).toEqual([]);
  });

  test('no file imports itself, however indirectly', () => {
    expect(findCycles(imports)).toEqual([]);
  });

  test('a cycle would be found', () => {
    const cyclic = new Map([
      ['a', ['b']],
      ['b', ['c', 'd']],
      ['c', ['a']],
      ['d', []],
    ]);
    expect(findCycles(cyclic)).toEqual([['a', 'b', 'c', 'a']]);
  });
});

describe('C++', () => {
  /** Each part with the parts whose headers it may include; every part may include native/include. */
  const mayInclude: Readonly<Record<string, readonly string[]>> = {
    core: ['core'],
    cpu: ['core', 'cpu'],
    cuda: ['core', 'cuda'],
    backends: ['core', 'cpu', 'cuda', 'backends'],
    napi: ['core', 'backends', 'napi'],
  };
  const sources = codeFiles.filter(({ path }) => path.startsWith('native/'));
  const includes = sources.flatMap(({ path, text }) =>
    [...text.matchAll(/^\s*#\s*include\s*[<"]([^>"]+)[>"]/gm)].map((match) => ({ path, target: match[1] ?? '' })),
  );
  const partOf = (path: string) => /^native\/src\/([^/]+)\//.exec(path)?.[1];
  const partNamedBy = (path: string, target: string) => {
    const local = normalize(join(dirname(path), target));
    if (files.some((file) => file.path === local)) return partOf(local);
    return partOf(`native/src/${target}`) ?? partOf(target);
  };

  test('parts include each other in one direction: include ← core ← cpu, cuda ← backends ← napi', () => {
    const wrong = includes.filter(({ path, target }) => {
      const part = partOf(path);
      const included = partNamedBy(path, target);
      return part !== undefined && included !== undefined && included in mayInclude && !mayInclude[part]?.includes(included);
    });
    expect(wrong).toEqual([]);
  });

  test('every part is known here', () => {
    const parts = new Set(sources.map(({ path }) => partOf(path)).filter((part) => part !== undefined));
    expect([...parts].filter((part) => !(part in mayInclude))).toEqual([]);
  });

  test('the public headers and the core see neither CUDA nor Node', () => {
    const foreign = /^(cuda|cub\/|thrust\/|mma\.h|napi|node_api|js_native_api|uv\.h)/;
    const wrong = includes.filter(({ path, target }) => /^native\/(include|src\/core|src\/cpu)\//.test(path) && foreign.test(target));
    expect(wrong).toEqual([]);
  });

  test('only the addon sees Node', () => {
    const wrong = includes.filter(({ path, target }) => partOf(path) !== 'napi' && /^(napi|node_api|js_native_api|uv\.h)/.test(target));
    expect(wrong).toEqual([]);
  });

  test('the core prints nothing and never exits', () => {
    const library = sources.filter(({ path }) => /^native\/(include|src)\//.test(path));
    expect(matches(library, /\b(std::cout|std::cerr|printf|fprintf|puts|abort|std::exit|exit|_exit|quick_exit)\s*(\(|<<)/)).toEqual([]);
  });
});

describe('documents', () => {
  test('every link leads somewhere', () => {
    const broken = markdownFiles.flatMap(({ path, text }) =>
      markdownLinks(text)
        .filter((link) => {
          const [target = '', anchor] = link.split('#');
          const linked = target === '' ? path : normalize(join(dirname(path), decodeURIComponent(target)));
          if (!existsSync(join(root, linked))) return true;
          const linkedText = markdownFiles.find((file) => file.path === linked)?.text;
          return anchor !== undefined && linkedText !== undefined && !headingAnchors(linkedText).has(anchor);
        })
        .map((link) => `${path}: ${link}`),
    );
    expect(broken).toEqual([]);
  });

  test('every npm script they name exists', () => {
    const { scripts } = JSON.parse(files.find(({ path }) => path === 'package.json')?.text ?? '{}') as { scripts: Record<string, string> };
    const named = markdownFiles.flatMap(({ path, text }) =>
      [...text.matchAll(/npm run ([\w:-]+)/g)].map((match) => ({ path, script: match[1] ?? '' })),
    );
    expect(named.filter(({ script }) => !(script in scripts))).toEqual([]);
  });

  test('every invariant names what holds it', () => {
    const text = files.find(({ path }) => path === 'docs/architecture.md')?.text ?? '';
    const section = text.split('## Invariants')[1]?.split('\n## ')[0] ?? '';
    const invariants = section.split(/^(?=\d+\. )/m).slice(1);
    expect(invariants.length).toBeGreaterThanOrEqual(11);
    expect(invariants.filter((invariant) => !/Guard: .*\]\(/s.test(invariant))).toEqual([]);
  });
});

/** `path:line: text` of each line that matches. */
function matches(where: readonly { readonly path: string; readonly text: string }[], pattern: RegExp): readonly string[] {
  return where.flatMap(({ path, text }) =>
    pattern.test(text)
      ? text.split('\n').flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : []))
      : [],
  );
}
