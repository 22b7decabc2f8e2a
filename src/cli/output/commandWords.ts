/** commandWords: what the engine tells anybody, with the remedies that the command line has for it. Pure. */

const WORDS: readonly (readonly [RegExp, string])[] = [
  [/allow it to be overwritten\b/, 'overwrite it with --force'],
  [/only files are overwritten, no folders/, '--force does not cover folders'],
  [/keep (it|them) by an override\./, 'keep $1 with --keep PATTERN.'],
  [/Choose the layout (?=[a-z])/, 'Choose --layout '],
  [
    /the model is quantized already( \([^)]*\))?\./,
    '$& --requantize rounds it anew, fp8 migrate gives it another layout, fp8 dequantize makes numbers of it.',
  ],
  [
    /no calibration file is given\. Choose one, or the statistics auto\./,
    'no calibration file is given: name one with --calibration, or leave --statistics at auto.',
  ],
];

export function commandWords(message: string): string {
  return WORDS.reduce((text, [pattern, words]) => text.replace(pattern, words), message);
}
