/** inventoryText: the tensors of a file as CSV or JSON, for other programs. Pure. */
import { tensorParameters } from '../../engine/inspect/parameters';
import type { PlannedTensor } from '../../engine/plan/plan';
import type { Header } from '../../engine/safetensors/header';

export type ExportFormat = 'csv' | 'json';

export function inventoryText(format: ExportFormat, fileName: string, header: Header, tensors: readonly PlannedTensor[]): string {
  switch (format) {
    case 'csv':
      return csv(header, tensors);
    case 'json':
      return json(fileName, header, tensors);
  }
}

const COLUMNS = ['name', 'dtype', 'shape', 'bytes', 'parameters', 'begin', 'end', 'action', 'target_dtype', 'reason'] as const;

/** RFC 4180, with line feeds, which every program takes. */
function csv(header: Header, tensors: readonly PlannedTensor[]): string {
  const lines = tensors.map((tensor) => {
    const row = rowOf(tensor, header);
    return COLUMNS.map((column) => {
      const value = row[column];
      return csvCell(Array.isArray(value) ? value.join('x') : String(value ?? ''));
    }).join(',');
  });
  return `${[COLUMNS.join(','), ...lines].join('\n')}\n`;
}

/** A name may begin like a formula, which a spreadsheet would run. */
function csvCell(text: string): string {
  const inert = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
}

function json(fileName: string, header: Header, tensors: readonly PlannedTensor[]): string {
  const content = {
    file: fileName,
    bytes: header.fileSize,
    metadata: Object.fromEntries(header.metadata),
    tensors: tensors.map((tensor) => rowOf(tensor, header)),
  };
  return `${JSON.stringify(content, undefined, 2)}\n`;
}

function rowOf(
  { source, action, reason, quantization }: PlannedTensor,
  header: Header,
): Readonly<Record<(typeof COLUMNS)[number], string | number | readonly (number | string)[] | undefined>> {
  return {
    name: source.name,
    dtype: source.dtype,
    shape: source.exactShape ?? source.shape,
    bytes: source.end - source.begin,
    parameters: tensorParameters(source, header),
    begin: source.begin,
    end: source.end,
    action,
    target_dtype: quantization?.targetDtype,
    reason,
  };
}
