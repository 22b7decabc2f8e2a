/** NamesByEnding: names found by how they end, without looking at all of them for every ending that is asked for. Pure. */

export class NamesByEnding {
  /** By the last two parts of each name, or its only one. */
  readonly #byLastParts = new Map<string, string[]>();
  readonly #byLastPart = new Map<string, string[]>();

  constructor(names: Iterable<string>) {
    for (const name of names) {
      add(this.#byLastParts, lastParts(name), name);
      add(this.#byLastPart, lastPart(name), name);
    }
  }

  /** Names that are `ending`, or end in a dot and it; in the order they were given. */
  endingIn(ending: string): readonly string[] {
    const candidates = ending.includes('.') ? this.#byLastParts.get(lastParts(ending)) : this.#byLastPart.get(ending);
    return (candidates ?? []).filter(
      (name) => name.endsWith(ending) && (name.length === ending.length || name[name.length - ending.length - 1] === '.'),
    );
  }
}

function add(index: Map<string, string[]>, key: string, name: string): void {
  const known = index.get(key);
  if (known === undefined) index.set(key, [name]);
  else known.push(name);
}

function lastPart(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}

function lastParts(name: string): string {
  const dot = name.lastIndexOf('.');
  return dot <= 0 ? name : name.slice(name.lastIndexOf('.', dot - 1) + 1);
}
