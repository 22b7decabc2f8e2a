/** The repository as tests of its own rules see it: every file that is, or would be, committed. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, extname, join, normalize } from 'node:path';

export interface RepositoryFile {
  /** Relative to the repository, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

const textExtensions = new Set([
  '.ts',
  '.mjs',
  '.json',
  '.md',
  '.css',
  '.h',
  '.cpp',
  '.cu',
  '.cuh',
  '.cmake',
  '.txt',
  '.yml',
  '.py',
  '.sh',
  '',
]);

export function repositoryFiles(root: string): readonly RepositoryFile[] {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], { cwd: root, encoding: 'utf8' });
  return listed
    .split('\0')
    .filter(
      (path) => path !== '' && textExtensions.has(extname(path)) && existsSync(join(root, path)) && statSync(join(root, path)).isFile(),
    )
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
}

/** What a TypeScript file imports by relative path, as paths relative to the repository. */
export function relativeImports(file: RepositoryFile, exists: (path: string) => boolean): readonly string[] {
  const specifiers = [...file.text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']*)'/g)].map((match) => match[1] ?? '');
  return specifiers.map((specifier) => {
    const target = normalize(join(dirname(file.path), specifier));
    return [target, `${target}.ts`].find((candidate) => exists(candidate)) ?? target;
  });
}

/** One cycle for each group of files that import each other, as the files along it. */
export function findCycles(imports: ReadonlyMap<string, readonly string[]>): readonly (readonly string[])[] {
  const state = new Map<string, 'open' | 'closed'>();
  const trail: string[] = [];
  const cycles: string[][] = [];
  const visit = (file: string): void => {
    if (state.get(file) === 'closed') return;
    if (state.get(file) === 'open') {
      cycles.push([...trail.slice(trail.indexOf(file)), file]);
      return;
    }
    state.set(file, 'open');
    trail.push(file);
    for (const target of imports.get(file) ?? []) visit(target);
    trail.pop();
    state.set(file, 'closed');
  };
  for (const file of imports.keys()) visit(file);
  return cycles;
}

/** Links of a Markdown text that lead into the repository: targets with their anchors, as written. */
export function markdownLinks(text: string): readonly string[] {
  const withoutCode = text.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');
  return [...withoutCode.matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)]
    .map((match) => match[1] ?? '')
    .filter((target) => !/^[a-z]+:/.test(target));
}

/** The anchor that a heading gets on code hosting sites. */
export function headingAnchors(text: string): ReadonlySet<string> {
  const headings = [...text.replace(/^```[\s\S]*?^```/gm, '').matchAll(/^#+ +(.+)$/gm)].map((match) => match[1] ?? '');
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}
