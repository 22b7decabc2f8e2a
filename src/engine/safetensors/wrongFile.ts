/** Recognises what people often have in place of a model, from the file's first bytes. */

const LEAST_LENGTH = 4;

/** What the file is and what to do, or undefined where its beginning says nothing. */
export function recogniseWrongFile(prefix: Uint8Array): string | undefined {
  if (prefix.length < LEAST_LENGTH) return undefined;
  const beginning = String.fromCharCode(...prefix.subarray(0, 64));
  return WRONG_FILES.find(({ begins }) => begins.test(beginning))?.sentence;
}

const WRONG_FILES: readonly { readonly begins: RegExp; readonly sentence: string }[] = [
  {
    begins: /^version https:\/\/git-lfs/,
    sentence:
      'It is a Git LFS pointer, not the model itself: run "git lfs pull" in its repository, or download the file from its web page.',
  },
  {
    begins: /^\s*<(!doctype|html|\?xml|head)/i,
    sentence: 'It is a web page saved in place of the model: sign in where you got it, and download it again.',
  },
  { begins: /^GGUF/, sentence: 'It is a GGUF model with another ending: get the safetensors version of the model.' },
  {
    begins: /^PK\x03\x04/,
    sentence: 'It is a ZIP archive or a PyTorch checkpoint (.pt, .bin): unpack it, or save its tensors with safetensors.',
  },
  { begins: /^\x80[\x02-\x05]/, sentence: 'It is a Python pickle (.pt, .ckpt): save its tensors with safetensors.' },
  { begins: /^\x1f\x8b/, sentence: 'It is compressed with gzip: unpack it first.' },
  { begins: /^\x89HDF/, sentence: 'It is an HDF5 file (.h5): save its tensors with safetensors.' },
  {
    begins: /^\s*[{[]\s*("|\])/,
    sentence: 'It is a JSON file, perhaps the index of a sharded model: open the .safetensors files that it names.',
  },
  { begins: /^\0{16}/, sentence: 'It begins with zeros: the download was started and never finished, so download it again.' },
];
