/** `fp8 inspect`: the tensors of a file, what a conversion would do to each, totals and metadata. Reads the header only. */
import { formatBytes, formatCount, formatInteger, formatQuantity, formatShape } from '../../base/format';
import { EngineError } from '../../engine/errors';
import { modelSeen, modelSeenText, type ModelSeen } from '../../engine/families/modelSeen';
import { makePlan } from '../../engine/plan/makePlan';
import { modelFamily } from '../../engine/plan/modelFamily';
import { calibrationOfRecipe } from '../../engine/plan/readCalibrationFile';
import type { Plan, PlannedTensor } from '../../engine/plan/plan';
import type { Recipe } from '../../engine/plan/recipe';
import type { DeviceKind } from '../../engine/plan/statistics';
import { steeringOfPlan, wholeReason } from '../../engine/plan/steering';
import { plannedTensors } from '../../engine/plan/stored/plannedTensors';
import { sourceForRecipe, type SourceForRecipe } from '../../engine/plan/stored/sourceForRecipe';
import type { Header, TensorInfo } from '../../engine/safetensors/header';
import { readModelSource } from '../../engine/safetensors/modelSource';
import { Arguments } from '../arguments';
import { EXIT, type CommandContext, type ExitCode } from '../command';
import { INSPECT_OPTIONS } from '../options';
import { kindOfReason, steeringLines } from '../output/planText';
import { printable, shortened, table } from '../output/text';
import type { Style } from '../output/terminal';
import { readDevice, readRecipe } from '../recipeOptions';
import { singleFile } from '../singleFile';
import { plannedDevice } from './plannedDevice';

const LONG_VALUE = 200;

export async function inspect(words: readonly string[], context: CommandContext): Promise<ExitCode> {
  const { terminal, version } = context;
  const given = Arguments.parse(words, INSPECT_OPTIONS);
  const path = singleFile(given, 'inspect');
  const recipe = await readRecipe(given);
  const file = await readModelSource(path);
  const { header } = file;
  const source = await sourceForRecipe(file, recipe);
  const whole = given.has('json') || given.has('verbose');
  const plan = await planOrWhyNot(source, recipe, {
    version,
    // Only what tells of every tensor's statistics needs to know what would compute them.
    deviceOf: async (made) => (whole ? plannedDevice(readDevice(given), made, context) : 'cpu'),
  });
  const model = modelSeen(modelFamily(source.source.header).recognition);
  terminal.print(
    given.has('json')
      ? JSON.stringify(inventoryJson({ path, header, plan, model }), undefined, 2)
      : inventoryText({ path, header, plan, model }, given.has('verbose') ? 'whole' : 'short', terminal.style),
  );
  return EXIT.done;
}

interface Inspected {
  readonly path: string;
  readonly header: Header;
  readonly plan: Plan | EngineError;
  readonly model: ModelSeen;
}

/** A file that cannot be converted can still be looked at. */
async function planOrWhyNot(
  { source, stored }: SourceForRecipe,
  recipe: Recipe,
  { version, deviceOf }: { readonly version: string; readonly deviceOf: (plan: Plan) => Promise<DeviceKind> },
): Promise<Plan | EngineError> {
  try {
    const calibration = await calibrationOfRecipe(recipe, source.header);
    const options = { toolVersion: version, ...calibration, ...(stored === undefined ? {} : { stored }) };
    const plan = makePlan(source.header, recipe, options);
    const device = await deviceOf(plan);
    return device === 'cpu' ? plan : makePlan(source.header, recipe, { ...options, device });
  } catch (error) {
    if (error instanceof EngineError && error.code !== 'Internal') return error;
    throw error;
  }
}

function inventoryText({ path, header, plan, model }: Inspected, values: 'short' | 'whole', style: Style): string {
  const planned = plannedByName(header, plan);
  const rows = header.tensors.map((tensor) => {
    const decision = planned.get(tensor.name);
    return [
      printable(tensor.name),
      tensor.dtype,
      shapeText(tensor),
      formatBytes(tensor.end - tensor.begin),
      decision === undefined ? '–' : decision.action,
      decision === undefined ? '' : printable(values === 'whole' ? wholeReason(decision) : kindOfReason(decision.reason)),
    ];
  });
  const left = (title: string): { readonly title: string; readonly align: 'left' } => ({ title, align: 'left' });
  return [
    ...table(
      [left('tensor'), left('dtype'), left('shape'), { title: 'size', align: 'right' }, left('action'), left('why')],
      rows,
      style.dim,
    ),
    '',
    `${style.bold(printable(path))}: ${formatBytes(header.fileSize)}, ${formatQuantity(header.tensors.length, 'tensor')}, ${formatCount(elements(header)).trim()} elements`,
    `  dtypes    ${dtypesText(header)}`,
    `  model     ${printable(modelSeenText(model, values === 'whole' ? 'every reason' : 'first reason'))}`,
    plan instanceof EngineError
      ? `  convert   not possible: ${printable(plan.message)}`
      : `  convert   ${actionsText(plan)}; the output would have ${formatBytes(plan.output.fileSize)}`,
    ...(plan instanceof EngineError || values === 'short' ? [] : steeringLines(steeringOfPlan(plan), 10)),
    ...metadataLines(header, values),
  ].join('\n');
}

function metadataLines({ metadata }: Header, values: 'short' | 'whole'): readonly string[] {
  if (metadata.size === 0) return ['  metadata  none'];
  return [...metadata].map(([key, value], index) => {
    const shown = values === 'whole' ? value : shortened(value, LONG_VALUE);
    return `  ${index === 0 ? 'metadata' : '        '}  ${printable(key)} = ${printable(shown)}`;
  });
}

function dtypesText({ tensors }: Header): string {
  const dtypes = new Map<string, { count: number; bytes: number }>();
  for (const { dtype, begin, end } of tensors) {
    const known = dtypes.get(dtype) ?? { count: 0, bytes: 0 };
    dtypes.set(dtype, { count: known.count + 1, bytes: known.bytes + end - begin });
  }
  const parts = [...dtypes]
    .sort((a, b) => b[1].bytes - a[1].bytes)
    .map(([dtype, { count, bytes }]) => `${dtype} ${formatBytes(bytes)} (${formatInteger(count)})`);
  return parts.length === 0 ? 'none' : parts.join(', ');
}

function actionsText({ tensors }: Plan): string {
  const count = (action: PlannedTensor['action']): number => tensors.filter((tensor) => tensor.action === action).length;
  return [`quantize ${count('quantize')}`, `keep ${count('keep')}`, ...(count('remove') > 0 ? [`remove ${count('remove')}`] : [])].join(
    ', ',
  );
}

function inventoryJson({ path, header, plan, model }: Inspected): unknown {
  const planned = plannedByName(header, plan);
  return {
    path,
    fileSize: header.fileSize,
    elements: elements(header),
    model,
    metadata: Object.fromEntries(header.metadata),
    ...(plan instanceof EngineError
      ? { notConvertible: plan.toJSON() }
      : { outputSize: plan.output.fileSize, steering: steeringOfPlan(plan), warnings: plan.warnings }),
    tensors: header.tensors.map(({ name, dtype, shape, begin, end }) => {
      const decision = planned.get(name);
      return {
        name,
        dtype,
        shape,
        begin,
        end,
        bytes: end - begin,
        ...(decision === undefined ? {} : { action: decision.action, rule: decision.rule, reason: decision.reason }),
        ...(decision?.quantization?.statistics === undefined ? {} : { statistics: decision.quantization.statistics }),
      };
    }),
  };
}

function plannedByName(header: Header, plan: Plan | EngineError): ReadonlyMap<string, PlannedTensor> {
  return new Map(plan instanceof EngineError ? [] : plannedTensors(header, plan).map((tensor) => [tensor.source.name, tensor]));
}

function elements({ tensors }: Header): number {
  return tensors.reduce((total, { shape }) => total + shape.reduce((product, dimension) => product * dimension, 1), 0);
}

function shapeText({ shape, exactShape }: TensorInfo): string {
  return exactShape === undefined ? formatShape(shape) : exactShape.join(' × ');
}
