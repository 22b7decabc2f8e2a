/**
 * describedStorage: what a file says in its own metadata of its making, and what a config.json beside it says. Where this tool wrote the file, its own word
 * counts: config.json may be that of another model, or of what the file was made of. Pure.
 */
import { jsonObject, parsedJson } from '../../../base/json';
import type { BlockSize } from '../encoding';
import { LAYOUTS, type Layout } from '../recipe';
import { declaredEncodings } from './declaredEncodings';
import { MIGRATED_KEY } from './dequantizedHeader';
import type { StorageFacts } from './storedWeight';

const RECIPE_KEY = /^fp8_quantizer\.recipe(\.\d+)?$/;
/** `quant_method` in the config.json of the layouts that have one. */
const METHODS: Readonly<Partial<Record<Layout, string>>> = { 'compressed-tensors': 'compressed-tensors', huggingface: 'fp8' };

export interface DescribedStorage {
  readonly facts: Omit<StorageFacts, 'comfyFormats'>;
  /** Where the two contradict each other, as a sentence. */
  readonly warnings: readonly string[];
}

/** `configText` is that of config.json; empty where there is none. */
export function describedStorage(metadata: ReadonlyMap<string, string>, configText: string): DescribedStorage {
  const config = configFacts(configText);
  const own = ownFacts(metadata);
  const common = { declared: declaredEncodings(metadata), ownFile: own.layout === undefined ? 'unknown' : 'own' } as const;
  if (own.layout === undefined) return { facts: { ...config, ...common }, warnings: [] };
  const method = METHODS[own.layout];
  const blockSize = own.blockSize ?? (method === undefined ? undefined : config.blockSize);
  const facts = { ...common, ...(method === undefined ? {} : { quantMethod: method }), ...(blockSize === undefined ? {} : { blockSize }) };
  return { facts, warnings: conflicts(own, config) };
}

function conflicts(own: OwnFacts, config: ConfigFacts): readonly string[] {
  const [said, counts] = ['config.json beside the file says', 'which is what counts'];
  if (config.quantMethod !== undefined && own.layout !== undefined && config.quantMethod !== METHODS[own.layout])
    return [`${said} quant_method "${config.quantMethod}", and the file itself that it is in the layout ${own.layout}, ${counts}.`];
  if (config.blockSize === undefined || own.blockSize === undefined || config.blockSize.join() === own.blockSize.join()) return [];
  return [`${said} blocks of ${config.blockSize.join(' × ')}, and the file itself ${own.blockSize.join(' × ')}, ${counts}.`];
}

type ConfigFacts = Pick<StorageFacts, 'quantMethod' | 'blockSize'>;

function configFacts(text: string): ConfigFacts {
  const config = jsonObject(jsonObject(parsedJson(text))?.['quantization_config']);
  const method = config?.['quant_method'];
  const groups = Object.values(jsonObject(config?.['config_groups']) ?? {});
  const structures = groups.map((group) => jsonObject(jsonObject(group)?.['weights'])?.['block_structure']);
  const blockSize = [config?.['weight_block_size'], ...structures].map(pair).find((size) => size !== undefined);
  return { ...(typeof method === 'string' ? { quantMethod: method } : {}), ...(blockSize === undefined ? {} : { blockSize }) };
}

interface OwnFacts {
  /** Of the latest conversion, else of the migration. */
  readonly layout?: Layout;
  /** Where every conversion that the file went through had the same. */
  readonly blockSize?: BlockSize;
}

function ownFacts(metadata: ReadonlyMap<string, string>): OwnFacts {
  const recipes = [...metadata].flatMap(([key, text]): readonly Readonly<Record<string, unknown>>[] => {
    const recipe = RECIPE_KEY.test(key) ? jsonObject(parsedJson(text)) : undefined;
    return recipe === undefined ? [] : [recipe];
  });
  const named = recipes.at(-1)?.['layout'] ?? metadata.get(MIGRATED_KEY)?.split(' ')[0];
  const layout = LAYOUTS.find((name) => name === named);
  const sizes = recipes.flatMap(({ granularity, blockSize }): readonly BlockSize[] => {
    const size = granularity === 'block' || granularity === 'auto' ? pair(blockSize) : undefined;
    return size === undefined ? [] : [size];
  });
  const [first] = sizes;
  const agreed = sizes.every((size) => size.join() === first?.join()) ? first : undefined;
  return { ...(layout === undefined ? {} : { layout }), ...(agreed === undefined ? {} : { blockSize: agreed }) };
}

function pair(value: unknown): BlockSize | undefined {
  const [rows, columns] = Array.isArray(value) ? (value as readonly unknown[]) : [];
  return typeof rows === 'number' && typeof columns === 'number' && rows >= 1 && columns >= 1 ? [rows, columns] : undefined;
}
