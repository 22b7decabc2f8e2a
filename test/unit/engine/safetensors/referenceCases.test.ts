/** Every file of the reference cases gets the reference reader's verdict, for the reference reader's reason. */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EngineError } from '../../../../src/engine/errors';
import { readHeader } from '../../../../src/engine/safetensors/reader';

interface Case {
  readonly file: string;
  readonly valid: boolean;
  readonly why: string;
  readonly rule?: string;
}

const FOLDER = join(__dirname, '../../../fixtures/safetensors-cases');
const CASES = JSON.parse(readFileSync(join(FOLDER, 'index.json'), 'utf8')) as readonly Case[];

describe('reference cases', () => {
  it('are all there', () => {
    expect(CASES.length).toBe(110);
    expect(CASES.filter((entry) => entry.valid).length).toBeGreaterThan(30);
  });

  for (const entry of CASES.filter(({ valid }) => valid)) {
    it(`accepts ${entry.file}: ${entry.why}`, async () => {
      const header = await readHeader(join(FOLDER, entry.file));
      expect(header.byName.size).toBe(header.tensors.length);
    });
  }

  for (const entry of CASES.filter(({ valid }) => !valid)) {
    it(`refuses ${entry.file}: ${entry.why}`, async () => {
      const error = await readHeader(join(FOLDER, entry.file)).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error).toBeInstanceOf(EngineError);
      const { code, details, message } = error as EngineError;
      expect({ code, rule: details.rule }).toEqual({ code: 'InvalidSafetensors', rule: entry.rule });
      expect(basename(details.path ?? '')).toBe(entry.file);
      // One line that names the file and ends in the remedy.
      expect(message).toContain(entry.file);
      expect(message).not.toMatch(/[\n\r]/);
      expect(message).toMatch(/(download|export|run|save|get the|check).*\.$/i);
    });
  }
});
