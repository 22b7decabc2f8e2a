/** Recognises what people often have in place of a model, from the file's first bytes. */

interface WrongFile {
  /** The first bytes as characters U+0000 to U+00FF. */
  readonly begins: (beginning: string) => boolean;
  /** What the file is and what to do. */
  readonly sentence: string;
}

const WRONG_FILES: readonly WrongFile[] = [
  {
    begins: (text) => text.startsWith('version https://git-lfs'),
    sentence:
      'It is a Git LFS pointer, not the model itself: run "git lfs pull" in its repository, or download the file from its web page.',
  },
  {
    begins: (text) => /^\s*<(!doctype|html|head|\?xml)/i.test(text),
    sentence: 'It is a web page saved in place of the model: sign in where you got it, and download it again.',
  },
  {
    begins: (text) => text.startsWith('GGUF'),
    sentence: 'It is a GGUF model with another ending: get the safetensors version of the model.',
  },
  {
    begins: (text) => text.startsWith('PK\x03\x04'),
    sentence: 'It is a PyTorch checkpoint (.pt, .bin) or another ZIP archive: save its tensors with safetensors, or unpack it.',
  },
  {
    begins: (text) => text.startsWith('\x80') && '\x02\x03\x04\x05'.includes(text.charAt(1)),
    sentence: 'It is a Python pickle (.pt, .ckpt): save its tensors with safetensors.',
  },
  { begins: (text) => text.startsWith('\x1f\x8b'), sentence: 'It is compressed with gzip: unpack it, or download it again.' },
  { begins: (text) => text.startsWith('\x89HDF'), sentence: 'It is an HDF5 file (.h5): save its tensors with safetensors.' },
  {
    begins: (text) => /^\s*[{[]\s*["\]}]/.test(text),
    sentence: 'It is a JSON file, perhaps the index of a sharded model: check it for the names of the .safetensors files, and open those.',
  },
  {
    begins: (text) => text.startsWith('\0'.repeat(16)),
    sentence: 'It begins with zeros: its download never finished, so download it again.',
  },
];

/** What the file is and what to do, or undefined where its beginning says nothing. */
export function recogniseWrongFile(prefix: Uint8Array): string | undefined {
  const beginning = String.fromCharCode(...prefix.subarray(0, 64));
  return WRONG_FILES.find(({ begins }) => begins(beginning))?.sentence;
}
