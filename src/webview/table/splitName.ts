/** A tensor's name as its path and its last two parts, which say what it is. Pure. */
export function splitName(name: string): readonly [path: string, leaf: string] {
  const cut = name.lastIndexOf('.', name.length - 2) + 1;
  const withKind = cut > 0 ? name.lastIndexOf('.', cut - 2) + 1 : 0;
  return [name.slice(0, withKind), name.slice(withKind)];
}
