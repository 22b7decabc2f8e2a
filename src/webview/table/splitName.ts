/**
 * A tensor's name as its path and its end. The end says what it is: its last two parts, and all that follows the last number, so that a path that
 * is cut at its beginning still ends with the number of the layer. Pure.
 */
export function splitName(name: string): readonly [path: string, leaf: string] {
  const kind = name.lastIndexOf('.', name.length - 2) + 1;
  const lastTwo = kind > 0 ? name.lastIndexOf('.', kind - 2) + 1 : 0;
  const afterNumber = /^.*(?:^|\.)\d+\./s.exec(name.slice(0, lastTwo))?.[0].length ?? lastTwo;
  return [name.slice(0, afterNumber), name.slice(afterNumber)];
}
