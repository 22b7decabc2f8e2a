/** checkLayout: does a converted file tell its loaders what they need, and nothing that misleads them? Pure. */
import { formatQuantity, formatShape } from '../../../base/format';
import { parsedJson } from '../../../base/json';
import type { Dtype } from '../../dtype';
import { COMFY_FORMATS } from '../../plan/formats/comfyui';
import { modelFamily } from '../../plan/modelFamily';
import { dequantizedHeader } from '../../plan/stored/dequantizedHeader';
import { NUMBERS } from '../../plan/stored/sourceForRecipe';
import { isScaledFp8Marker, layerOfCompanion } from '../../plan/tensorNames';
import { diffusersNamed } from '../../plan/warnings';
import type { Header } from '../../safetensors/header';
import { checkConfig, type LayoutFindings } from './checkConfig';
import { hasCodes, type TensorCheck } from './checkTensors';
import { formatOf, layerOf, migratedTo, type ConvertedFile } from './convertedFile';

/** What ComfyUI's reader of files has no name for. */
const UNREADABLE: readonly Dtype[] = ['F4', 'F6_E2M3', 'F6_E3M2', 'F8_E8M0', 'F8_E4M3FNUZ', 'F8_E5M2FNUZ'];

/** `source` is asked for names alone. */
export function checkLayout(source: Pick<Header, 'byName'>, converted: ConvertedFile, checks: readonly TensorCheck[]): LayoutFindings {
  const quantized = new Map(checks.filter(hasCodes).map((check) => [layerOf(check.source), check]));
  const findings = {
    problems: [...strangers(source, converted), ...otherShapes(checks, converted)],
    warnings: [...converted.stored.warnings],
  };
  // Codes that are wrong are quantized all the same, and are told of themselves.
  const { byName, unreadable } = converted.stored;
  const isWrong = checks.some(({ state, source: { name } }) => state === 'wrong' && (byName.has(name) || unreadable.has(name)));
  if (quantized.size === 0 && !isWrong && !checks.some(({ state }) => state === 'dequantized'))
    findings.problems.push('No tensor is quantized, so this is no converted file, and it has no layout to check.');
  switch (converted.layout) {
    case 'comfyui':
      findings.problems.push(...comfyuiProblems(converted, quantized), ...inputScaleProblems(converted), ...unreadableDtypes(converted));
      findings.warnings.push(...roundedScales(quantized, converted), ...diffusersWarning(quantized, converted));
      break;
    case 'comfyui-legacy':
      findings.problems.push(...legacyProblems(converted), ...inputScaleProblems(converted), ...unreadableDtypes(converted));
      findings.warnings.push(
        ...missingInputScales(quantized, converted),
        ...roundedScales(quantized, converted),
        ...diffusersWarning(quantized, converted),
      );
      break;
    case 'compressed-tensors':
    case 'huggingface': {
      const config = checkConfig(converted, checks);
      findings.problems.push(...config.problems);
      findings.warnings.push(...config.warnings);
      break;
    }
    case 'plain':
      findings.warnings.push(...undescribedScales(quantized, converted));
      break;
    case 'unknown':
      break;
  }
  return findings;
}

function* strangers(source: Pick<Header, 'byName'>, { header }: ConvertedFile): Generator<string> {
  for (const { name } of header.tensors) {
    if (source.byName.has(name) || isScaledFp8Marker(name)) continue;
    const layer = layerOfCompanion(name);
    if (layer === undefined) yield `${name}: the source has no such tensor.`;
    else if (![layer, `${layer}.weight`, `${layer}.weight_packed`].some((weight) => header.byName.has(weight)))
      yield `${name}: it describes a weight that the file does not have.`;
  }
}

/** Codes that are padded look alike whatever shape they are said to be of. */
function* otherShapes(checks: readonly TensorCheck[], { stored }: ConvertedFile): Generator<string> {
  for (const { source } of checks.filter(hasCodes)) {
    const weight = stored.byName.get(source.name);
    if (weight?.storage.storedRows === undefined || weight.shape.join() === source.shape.join()) continue;
    yield `${source.name}: without its padding it is ${formatShape(weight.shape)} by the file itself, instead of ${formatShape(source.shape)}.`;
  }
}

function* unreadableDtypes({ header }: ConvertedFile): Generator<string> {
  const found = header.tensors.find(({ dtype }) => UNREADABLE.includes(dtype));
  if (found !== undefined) yield `${found.name}: ComfyUI's reader does not know the dtype ${found.dtype}, and refuses the whole file.`;
}

function* roundedScales(quantized: ReadonlyMap<string, TensorCheck>, { stored }: ConvertedFile): Generator<string> {
  const rounded = [...quantized.values()].filter(({ scale }) => scale !== undefined && !isBf16(scale));
  const [first] = rounded;
  if (first === undefined) return;
  const name = stored.byName.get(first.source.name)?.scales?.name ?? first.source.name;
  const others = rounded.length === 1 ? '' : ` and ${rounded.length - 1} others`;
  yield `${name}${others}: BF16 does not hold the scale exactly, so a loader that computes in BF16 changes it by up to 0.4 %.`;
}

function* diffusersWarning(quantized: ReadonlyMap<string, TensorCheck>, { header, stored }: ConvertedFile): Generator<string> {
  if (quantized.size === 0) return;
  const numbers = dequantizedHeader(header, stored, NUMBERS);
  const named = diffusersNamed([...numbers.byName.keys()], modelFamily(numbers).recognition);
  if (named !== undefined) yield named;
}

/** BF16 is the upper half of F32. */
function isBf16(value: number): boolean {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value);
  return view.getUint16(2) === 0;
}

function* comfyuiProblems(converted: ConvertedFile, quantized: ReadonlyMap<string, TensorCheck>): Generator<string> {
  const { describedLayers, comfyQuant, marker, header } = converted;
  if (describedLayers === 'unreadable') yield '_quantization_metadata is not the JSON that loaders expect.';
  const described = describedLayers === 'unreadable' ? undefined : describedLayers;
  if (marker !== undefined) {
    yield described === undefined
      ? `${marker.name}: the marker of the layout comfyui-legacy beside scales of the layout comfyui.`
      : `${marker.name}: loaders that find _quantization_metadata ignore this marker of the layout comfyui-legacy, and every scale_weight with it.`;
  }
  for (const [layer, { encoding }] of quantized) {
    const format = encoding === undefined ? '' : COMFY_FORMATS[encoding.target];
    const tensorFormat = comfyQuant.has(layer) ? formatOf(parsedJson(comfyQuant.get(layer) ?? '')) : undefined;
    const headerFormat = described?.get(layer);
    if (tensorFormat === undefined && headerFormat === undefined) {
      yield `${layer}: neither ${layer}.comfy_quant nor _quantization_metadata says that it is ${format}, so its scale is ignored.`;
    }
    if (tensorFormat !== undefined && tensorFormat !== format) yield `${layer}.comfy_quant does not say ${format}.`;
    if (headerFormat !== undefined && headerFormat !== format) yield `_quantization_metadata does not say ${format} of ${layer}.`;
  }
  for (const layer of new Set([...(described?.keys() ?? []), ...comfyQuant.keys()])) {
    if (quantized.has(layer)) continue;
    const weight = header.byName.get(`${layer}.weight`);
    if (weight === undefined) yield `${layer}: it is said to be quantized, but the file has no ${layer}.weight.`;
    else if (weight.dtype === 'BF16' || weight.dtype === 'F16' || weight.dtype === 'F32') {
      yield `${layer}: it is said to be quantized, but its weight is ${weight.dtype}, which loaders would cast unscaled.`;
    }
  }
}

/** Where this tool noted that the layout is to be plain, it is by choice. */
function* undescribedScales(quantized: ReadonlyMap<string, TensorCheck>, converted: ConvertedFile): Generator<string> {
  const isByChoice = converted.provenance !== undefined || migratedTo(converted.header) !== undefined;
  if (quantized.size === 0 || converted.config !== undefined || isByChoice) return;
  yield 'Nothing says that these weights have scales: without comfy_quant, _quantization_metadata or the marker scaled_fp8 ComfyUI ignores these scales, and without quantization_config in a config.json beside the file vLLM and transformers do. Migrate it to the layout of its loader.';
}

/** ComfyUI takes the scale of inputs for one number, and fails where it is none. */
function* inputScaleProblems({ header, inputScales }: ConvertedFile): Generator<string> {
  for (const [name, value] of inputScales) {
    if (value === undefined) {
      const tensor = header.byName.get(name);
      yield `${name}: ComfyUI reads a single F32 there, and it is ${tensor?.dtype ?? ''} ${formatShape(tensor?.shape ?? [])}.`;
    } else if (!(Number.isFinite(value) && value > 0)) yield `${name}: the scale of inputs is ${value}, which is no positive number.`;
  }
}

/** By a marker of other than two elements old loaders multiply in FP8, with a scale for the inputs. */
function* missingInputScales(quantized: ReadonlyMap<string, TensorCheck>, { marker, inputScales }: ConvertedFile): Generator<string> {
  const elements = marker?.shape.reduce((product, size) => product * size, 1);
  if (marker === undefined || elements === 2) return;
  const [first, ...others] = [...quantized.keys()].filter((layer) => !inputScales.has(`${layer}.scale_input`));
  if (first === undefined) return;
  const more = others.length === 0 ? '' : ` and ${formatQuantity(others.length, 'other')}`;
  yield `${first}${more}: the marker ${marker.name} has ${formatQuantity(elements ?? 0, 'element')}, by which ComfyUI before December 2025 multiplies in FP8, and without a scale_input it cuts inputs off at 448.`;
}

function* legacyProblems({ marker, header }: ConvertedFile): Generator<string> {
  if (marker === undefined) yield 'The marker scaled_fp8 is missing, so loaders ignore every scale.';
  else if (marker.dtype !== 'F8_E4M3' && marker.dtype !== 'F32') yield `The marker ${marker.name} is ${marker.dtype} instead of F8_E4M3.`;
  if (header.metadata.has('_quantization_metadata')) yield '_quantization_metadata makes loaders skip the layout comfyui-legacy.';
}
