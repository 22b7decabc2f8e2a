/** reportFile: the report as JSON on disk. Its place is checked before the job begins; the file appears complete or not at all. */
import { access, constants } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { EngineError } from '../errors';
import { checkOutputPath } from '../safetensors/outputPlace';
import { OutputFile } from '../safetensors/writer';
import type { ConvertRequest } from './convertRequest';
import type { JobReport } from './report';

/** Throws EngineError where the report that is asked for cannot be written, or would take the place of a model. */
export async function checkReportPath({ reportPath, source, output, overwrite }: ConvertRequest): Promise<void> {
  if (reportPath === undefined) return;
  const path = resolve(reportPath);
  try {
    await checkOutputPath(path, [source, output], overwrite);
    await access(dirname(path), constants.W_OK);
  } catch (error) {
    throw forReport(error, path);
  }
}

/** Throws EngineError. */
export async function writeReport(
  report: JobReport,
  { reportPath, source, output, overwrite }: ConvertRequest,
  token: string,
): Promise<void> {
  if (reportPath === undefined) return;
  const bytes = new TextEncoder().encode(`${JSON.stringify(report, undefined, 2)}\n`);
  const file = await OutputFile.create({
    path: reportPath,
    fileSize: bytes.length,
    headerBytes: bytes,
    sourcePaths: [source, output],
    overwrite,
    token,
  });
  await file.commit();
}

function forReport(error: unknown, path: string): EngineError {
  const wrapped = EngineError.wrap(error);
  const sentence = ((): string => {
    switch (wrapped.code) {
      case 'PermissionDenied':
        return `the folder ${dirname(path)} is read-only for you. Choose another place.`;
      case 'OutputIsInput':
        return `${path} is the model itself. Choose another name.`;
      default:
        return wrapped.message;
    }
  })();
  return new EngineError(wrapped.code, `The report cannot be written: ${sentence}`, { path }, { cause: error });
}
