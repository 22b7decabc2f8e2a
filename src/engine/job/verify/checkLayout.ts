/** checkLayout: does a converted file tell its loaders what they need, and nothing that misleads them? Pure. */
import { layerOfCompanion, isScaledFp8Marker } from '../../plan/tensorNames';
import type { Header } from '../../safetensors/header';
import type { TensorCheck } from './checkTensors';
import { formatOf, layerOf, parsed, type ConvertedFile } from './convertedFile';

export interface LayoutFindings {
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

const FORMAT = 'float8_e4m3fn';

export function checkLayout(source: Header, converted: ConvertedFile, checks: readonly TensorCheck[]): LayoutFindings {
  const quantized = new Set(checks.filter(({ state }) => state === 'quantized').map((check) => layerOf(check.source)));
  const findings = { problems: [...strangers(source, converted)], warnings: [...roundedScales(converted, quantized)] };
  if (quantized.size === 0) findings.problems.push('No tensor is quantized: this is no converted file of that source.');
  switch (converted.layout) {
    case 'comfyui':
      findings.problems.push(...comfyuiProblems(source, converted, quantized));
      break;
    case 'comfyui-legacy':
      findings.problems.push(...legacyProblems(converted));
      break;
    case 'unknown':
      break;
  }
  return findings;
}

function* strangers(source: Header, { header }: ConvertedFile): Generator<string> {
  for (const { name } of header.tensors) {
    if (source.byName.has(name) || isScaledFp8Marker(name)) continue;
    const layer = layerOfCompanion(name);
    if (layer === undefined) yield `${name}: the source has no such tensor.`;
    else if (!header.byName.has(`${layer}.weight`)) yield `${name}: it describes a weight that the file does not have.`;
  }
}

function* roundedScales({ scales }: ConvertedFile, quantized: ReadonlySet<string>): Generator<string> {
  const rounded = [...scales].filter(([layer, { value }]) => quantized.has(layer) && !isBf16(value)).map(([, { tensor }]) => tensor.name);
  const [first] = rounded;
  if (first === undefined) return;
  const others = rounded.length === 1 ? '' : ` and ${rounded.length - 1} others`;
  yield `${first}${others}: BF16 does not hold the scale exactly, so a loader that computes in BF16 changes it by up to 0.4 %.`;
}

/** BF16 is the upper half of F32. */
function isBf16(value: number): boolean {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value);
  return view.getUint16(2) === 0;
}

function* comfyuiProblems(source: Header, converted: ConvertedFile, quantized: ReadonlySet<string>): Generator<string> {
  const { describedLayers, comfyQuant, marker, header } = converted;
  if (describedLayers === 'unreadable') yield '_quantization_metadata is not the JSON that loaders expect.';
  const described = describedLayers === 'unreadable' ? undefined : describedLayers;
  if (marker !== undefined && described === undefined && !source.byName.has(marker.name)) {
    yield `${marker.name}: the marker of the layout comfyui-legacy beside scales of the layout comfyui.`;
  }
  for (const layer of quantized) {
    const tensorFormat = comfyQuant.has(layer) ? formatOf(parsed(comfyQuant.get(layer) ?? '')) : undefined;
    const headerFormat = described?.get(layer);
    if (tensorFormat === undefined && headerFormat === undefined) {
      yield `${layer}: neither ${layer}.comfy_quant nor _quantization_metadata says that it is FP8, so its scale is ignored.`;
    }
    if (tensorFormat !== undefined && tensorFormat !== FORMAT) yield `${layer}.comfy_quant does not say ${FORMAT}.`;
    if (headerFormat !== undefined && headerFormat !== FORMAT) yield `_quantization_metadata does not say ${FORMAT} of ${layer}.`;
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

function* legacyProblems({ marker, header }: ConvertedFile): Generator<string> {
  if (marker === undefined) yield 'The marker scaled_fp8 is missing, so loaders ignore every scale.';
  else if (marker.dtype !== 'F8_E4M3' && marker.dtype !== 'F32') yield `The marker ${marker.name} is ${marker.dtype} instead of F8_E4M3.`;
  if (header.metadata.has('_quantization_metadata')) yield '_quantization_metadata makes loaders skip the layout comfyui-legacy.';
}
