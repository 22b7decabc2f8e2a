/** fileView: what the webview is told of a file. Pure. */
import { basename, dirname } from 'node:path';
import type { EngineError } from '../../engine/errors';
import { parametersOf } from '../../engine/inspect/parameters';
import { TARGET_FACTS } from '../../engine/plan/encoding';
import { defaultOutputPath } from '../../engine/plan/outputPath';
import type { Action, PlannedTensor } from '../../engine/plan/plan';
import { plannedTensors } from '../../engine/plan/stored/plannedTensors';
import type { Header, TensorInfo } from '../../engine/safetensors/header';
import type { DtypeShare, FileView, InvalidFileView, InventoryView } from '../../webview/protocol/views';
import { problemOf } from '../conversion/remedies';
import { architectureView, metadataView, rankShares, sizeShares } from './headerViews';
import type { KnownState } from './modelDocument';
import { recipeWords } from './recipeWords';

/** The output where the user has named one. */
export interface NamedOutput {
  readonly path: string;
  /** Why nothing can be written there, as a sentence. */
  readonly problem?: string;
}

export function fileView(path: string, state: KnownState, named?: NamedOutput): FileView {
  switch (state.kind) {
    case 'invalid':
      return invalidView(path, state.error, state.revision);
    case 'listed':
    case 'valid': {
      const { header, revision, reading } = state;
      return {
        kind: 'inventory',
        revision,
        reading,
        fileName: basename(path),
        directory: dirname(path),
        fileSize: header.fileSize,
        fileCount: state.files.length,
        ...headerView(header),
        ...(state.kind === 'valid' ? planView(path, state, named) : { warnings: [] }),
      };
    }
  }
}

type HeaderView = Pick<InventoryView, 'parameters' | 'tensorCount' | 'architecture' | 'metadata' | 'dtypes' | 'ranks' | 'sizes'>;

const headerViews = new WeakMap<Header, HeaderView>();

/** Made once for each header: it looks at every tensor, and every change of a recipe shows it again. */
function headerView(header: Header): HeaderView {
  const known = headerViews.get(header);
  if (known !== undefined) return known;
  const view = {
    parameters: parametersOf(header),
    tensorCount: header.tensors.length,
    ...architectureView(header),
    metadata: metadataView(header.metadata),
    dtypes: dtypeShares(header.tensors),
    ranks: rankShares(header.tensors),
    sizes: sizeShares(header.tensors),
  };
  headerViews.set(header, view);
  return view;
}

function planView(
  path: string,
  { header, plan, problem, sourceKind }: Extract<KnownState, { readonly kind: 'valid' }>,
  named?: NamedOutput,
): Pick<InventoryView, 'actions' | 'overridden' | 'output' | 'warnings'> {
  const output = named?.path ?? defaultOutputPath(path, plan.recipe, sourceKind);
  const tensors = plannedTensors(header, plan);
  const obstacle = problem === undefined ? named?.problem : problemOf(problem).text;
  return {
    actions: actionTotals(tensors),
    overridden: tensors.filter(({ rule }) => rule === 'override').length,
    output: {
      fileName: basename(output),
      directory: dirname(output),
      fileSize: plan.output.fileSize,
      recipe: recipeWords(plan.recipe),
      becomes: TARGET_FACTS[plan.recipe.target].word,
      ...(obstacle === undefined ? undefined : { problem: obstacle }),
    },
    warnings: plan.warnings,
  };
}

function actionTotals(tensors: readonly PlannedTensor[]): Readonly<Record<Action, { readonly tensors: number; readonly bytes: number }>> {
  const totals = { quantize: { tensors: 0, bytes: 0 }, keep: { tensors: 0, bytes: 0 }, remove: { tensors: 0, bytes: 0 } };
  for (const { action, source } of tensors) {
    totals[action].tensors += 1;
    totals[action].bytes += source.end - source.begin;
  }
  return totals;
}

function dtypeShares(tensors: readonly TensorInfo[]): readonly DtypeShare[] {
  const shares = new Map<string, { tensors: number; bytes: number }>();
  for (const { dtype, begin, end } of tensors) {
    const share = shares.get(dtype) ?? { tensors: 0, bytes: 0 };
    shares.set(dtype, share);
    share.tensors += 1;
    share.bytes += end - begin;
  }
  return [...shares].map(([dtype, share]) => ({ dtype, ...share })).sort((a, b) => b.bytes - a.bytes);
}

function invalidView(path: string, error: EngineError, revision: number): InvalidFileView {
  const { rule, tensor } = error.details;
  return {
    kind: 'invalid',
    revision,
    fileName: basename(path),
    directory: dirname(path),
    title: titleOf(error),
    message: withoutPath(error.message, path),
    facts: [
      { label: 'File', value: path },
      ...(tensor === undefined ? [] : [{ label: 'Tensor', value: tensor }]),
      ...(rule === undefined ? [] : [{ label: 'Rule', value: rule }]),
    ],
    reopen: error.code === 'InvalidSafetensors' || error.code === 'Internal' ? 'possible' : 'impossible',
  };
}

function titleOf(error: EngineError): string {
  switch (error.code) {
    case 'InvalidSafetensors':
      return 'This is not a valid safetensors file';
    case 'FileNotFound':
      return 'The file is not there';
    case 'PermissionDenied':
      return 'The file may not be read';
    case 'FileChanged':
      return 'The file is still being written';
    default:
      return 'The file cannot be shown';
  }
}

/** The page names the path below; the sentence is easier to read without it. */
function withoutPath(message: string, path: string): string {
  const rest = message.startsWith(`${path}: `) ? message.slice(path.length + 2) : message;
  return rest.charAt(0).toUpperCase() + rest.slice(1);
}
