/** panelView: what the panel is told of a file's plan, the choices and the machine. Pure. */
import { basename, dirname } from 'node:path';
import { formatBytes, formatQuantity } from '../../base/format';
import { familyOf } from '../../engine/families/families';
import type { QuantizerDevice } from '../../engine/job/quantizer';
import { TARGET_FACTS } from '../../engine/plan/encoding';
import { modelFamily } from '../../engine/plan/modelFamily';
import { overrideLookup, type Override } from '../../engine/plan/overrides';
import type { Plan } from '../../engine/plan/plan';
import { PRESETS } from '../../engine/plan/presets';
import type { OutputForm } from '../../engine/plan/outputForm';
import { plannedBytes } from '../../engine/plan/plannedBytes';
import { parsePattern } from '../../engine/plan/tensorPattern';
import { hasCodes } from '../../engine/plan/stored/recogniseStored';
import type { Header } from '../../engine/safetensors/header';
import type { Choice, ForecastView, OverrideView, PanelView } from '../../webview/protocol/panelApi';
import { presetValue } from '../recipe/choices';
import type { Wanted } from '../recipe/choiceStore';
import type { RecipeProblem } from '../model/modelDocument';
import { forecast, type Rate } from './forecast';
import type { OutputPlace } from './outputPlace';
import { outputProblem } from './outputProblem';
import { problemOf, warningsOf } from './remedies';
import { outputText } from './typedOutput';

export interface PanelFacts {
  readonly header: Header;
  readonly plan: Plan;
  readonly problem?: RecipeProblem;
  readonly wanted: Wanted;
  readonly answers: number;
  readonly outputPath: string;
  /** Where it is written if nobody chooses. */
  readonly defaultOutputPath: string;
  readonly outputForm: OutputForm;
  readonly outputPlace: OutputPlace;
  /** Of the source. */
  readonly files: number;
  readonly freeBytes?: number;
  readonly devices: readonly QuantizerDevice[];
  /** What the wanted device stands for. */
  readonly device: string;
  readonly rate?: Rate;
  readonly lastSweeps?: string;
  readonly panel: PanelView['panel'];
  readonly folded: PanelView['folded'];
  readonly choices: PanelView['choices'];
  readonly cores: number;
}

export function panelView(facts: PanelFacts): PanelView {
  const { header, plan, wanted, outputPath, devices, problem, lastSweeps } = facts;
  const { presets, rounding, topK, numIter, layout, target, granularity, blockSize, overrides } = wanted.recipe;
  const { convolutions, embeddings, quantized, statistics, sides, calibSamples, calibration, biasCorrection } = wanted.recipe;
  const forecasted = forecastView(facts);
  const outputNotice = outputProblem(outputPath, facts.outputPlace);
  const sourceCodes = hasCodes(header) ? 'some' : 'none';
  return {
    panel: facts.panel,
    folded: facts.folded,
    options: {
      preset: presetValue(presets),
      rounding,
      topK,
      numIter,
      calibSamples,
      statistics,
      sides,
      calibration: calibration ?? '',
      biasCorrection,
      target,
      granularity,
      blockSize,
      layout,
      convolutions,
      embeddings,
      quantized,
      device: wanted.device,
      threads: wanted.threads,
      output: wanted.output ?? '',
    },
    answers: facts.answers,
    presets: presetChoices(presetValue(presets)),
    sourceCodes,
    recognised: recognised(header),
    devices: deviceChoices(devices, wanted.device),
    deviceHelp: deviceHelp(devices, facts.device),
    cores: facts.cores,
    output: {
      fileName: basename(outputPath),
      directory: dirname(outputPath),
      form: formWords(facts),
      text: outputText(outputPath, facts.defaultOutputPath),
      defaultName: basename(facts.defaultOutputPath),
    },
    overrides: overrideViews(overrides, header),
    forecast: forecasted,
    warnings: [...warningsOf(plan, sourceCodes), ...placeWarnings(facts, forecasted).map((text) => ({ text, remedies: [] }))],
    choices: facts.choices,
    ...(problem === undefined ? undefined : { problem: problemOf(problem) }),
    ...(outputNotice === undefined ? undefined : { outputProblem: outputNotice }),
    ...(lastSweeps === undefined ? undefined : { lastSweeps }),
  };
}

function recognised(header: Header): PanelView['recognised'] {
  const { family, evidence } = modelFamily(header).recognition;
  return family === 'unknown' ? { evidence } : { title: familyOf(family).title, evidence };
}

function presetChoices(current: string): readonly Choice[] {
  const choices = [
    { value: 'auto', label: PRESETS.auto.label },
    { value: 'none', label: 'None' },
    { value: 't5xxl', label: PRESETS.t5xxl.label },
    { value: 'keep_distillation', label: PRESETS.keep_distillation.label },
  ];
  return choices.some(({ value }) => value === current) ? choices : [...choices, { value: current, label: current.replaceAll('+', ' + ') }];
}

function deviceChoices(devices: readonly QuantizerDevice[], current: string): readonly Choice[] {
  const usable = devices.filter(({ available }) => available);
  const choices = [
    { value: 'auto', label: 'Automatic' },
    ...(usable.some(({ id }) => id === 'cpu') ? [] : [{ value: 'cpu', label: 'CPU' }]),
    ...usable.map(({ id, name, freeMemoryBytes }) => ({
      value: id,
      label: `${id === 'cpu' ? 'CPU' : name}${freeMemoryBytes === undefined ? '' : ` (${formatBytes(freeMemoryBytes)} free)`}`,
    })),
  ];
  return choices.some(({ value }) => value === current) ? choices : [...choices, { value: current, label: current }];
}

function deviceHelp(devices: readonly QuantizerDevice[], device: string): string {
  const found = devices.find(({ id }) => id === device);
  if (devices.length === 0) return 'Looking for devices…';
  if (found === undefined) return `There is no ${device} on this machine.`;
  if (!found.available) return found.reason ?? `${found.name} cannot be used.`;
  const { name, freeMemoryBytes, kind } = found;
  const memory = freeMemoryBytes === undefined ? '' : `, ${formatBytes(freeMemoryBytes)} free`;
  const gpu = devices.find((other) => other.kind === 'cuda');
  const noGpu = kind === 'cpu' && gpu?.available === false && gpu.reason !== undefined ? ` No GPU: ${gpu.reason}` : '';
  return `${name}${memory}.${noGpu}`;
}

function overrideViews(overrides: readonly Override[], header: Header): readonly OverrideView[] {
  if (overrides.length === 0) return [];
  const counts = new Map<Override, number>();
  let lookup: ReturnType<typeof overrideLookup>;
  try {
    lookup = overrideLookup(overrides);
  } catch {
    return overrides.map(({ match, action }) => ({ match, action, kind: 'pattern', tensors: 0 }));
  }
  for (const { name } of header.tensors) {
    const override = lookup(name);
    if (override !== undefined) counts.set(override, (counts.get(override) ?? 0) + 1);
  }
  return overrides.map((override) => {
    const { match, action } = override;
    return { match, action, kind: parsePattern(match).kind, tensors: counts.get(override) ?? 0 };
  });
}

function forecastView({ header, plan, device, rate, freeBytes }: PanelFacts): ForecastView {
  return {
    becomes: TARGET_FACTS[plan.recipe.target].word,
    bytesIn: header.fileSize,
    bytesOut: plan.output.fileSize,
    actions: actionSums(plan),
    ...forecast(plan, device.startsWith('cuda') ? 'cuda' : 'cpu', rate),
    basis: rate === undefined ? 'assumed' : 'measured',
    ...(freeBytes === undefined ? undefined : { freeBytes }),
  };
}

type ActionSums = ForecastView['actions'];

const knownSums = new WeakMap<Plan, ActionSums>();

/** Made once for each plan: what else the panel shows changes more often. */
function actionSums(plan: Plan): ActionSums {
  const known = knownSums.get(plan);
  if (known !== undefined) return known;
  const actions = { quantize: { tensors: 0, bytes: 0 }, keep: { tensors: 0, bytes: 0 }, remove: { tensors: 0, bytes: 0 } };
  for (const tensor of plan.tensors) {
    actions[tensor.action].tensors += 1;
    actions[tensor.action].bytes += plannedBytes(tensor);
  }
  knownSums.set(plan, actions);
  return actions;
}

/** What is written, where it is no single file. */
function formWords({ outputForm, files }: PanelFacts): string {
  switch (outputForm) {
    case 'file':
      return '';
    case 'shards':
      return `An index and ${formatQuantity(files, 'shard')}`;
    case 'folder':
      return `A folder with ${formatQuantity(files, 'shard')}, their index and config files`;
  }
}

/** What the place of the output has to say. The plan's own warnings come before these. */
function placeWarnings({ outputPath, outputPlace, freeBytes }: PanelFacts, { bytesOut }: ForecastView): readonly string[] {
  const warnings: string[] = [];
  if (outputPlace === 'file') warnings.push(`${basename(outputPath)} exists already: Convert asks before it is replaced.`);
  if (outputPlace === 'folder') warnings.push(`The folder ${basename(outputPath)} exists already: Convert asks for another name.`);
  if (freeBytes !== undefined && bytesOut > freeBytes) {
    warnings.push(
      `The output does not fit: it needs ${formatBytes(bytesOut)}, and ${dirname(outputPath)} has ${formatBytes(freeBytes)} left.`,
    );
  }
  return warnings;
}
