/** Disposable: something open that has exactly one owner, who closes it. Disposing twice is harmless. */
export interface Disposable {
  dispose(): void;
}
