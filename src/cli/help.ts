/** help: what `fp8 --help` and `fp8 COMMAND --help` print. Pure. */
import { flag, type OptionSpec } from './arguments';
import { CONVERT_OPTIONS, DEQUANTIZE_OPTIONS, DEVICES_OPTIONS, INSPECT_OPTIONS, MIGRATE_OPTIONS, VERIFY_OPTIONS } from './options';

export const COMMANDS = ['convert', 'inspect', 'verify', 'dequantize', 'migrate', 'devices'] as const;
export type CommandName = (typeof COMMANDS)[number];

interface CommandHelp {
  readonly usage: string;
  readonly summary: string;
  readonly options: readonly OptionSpec[];
  readonly notes: readonly string[];
}

export const COMMAND_HELP: Readonly<Record<CommandName, CommandHelp>> = {
  convert: {
    usage: 'fp8 convert FILE|FOLDER [options]',
    summary: 'Convert a model to FP8 (float8_e4m3fn) with learned rounding.',
    options: CONVERT_OPTIONS,
    notes: [
      'The source is never changed, and the output appears complete or not at all.',
      'Exit codes: 0 done, 1 error, 2 wrong usage, 130 cancelled.',
    ],
  },
  inspect: {
    usage: 'fp8 inspect FILE|FOLDER [options]',
    summary: 'List the tensors of a model, and what a conversion would do to each.',
    options: INSPECT_OPTIONS,
    notes: [],
  },
  verify: {
    usage: 'fp8 verify FILE|FOLDER [--against SOURCE] [options]',
    summary: "Check a converted model against its source, or by its loader's rules alone.",
    options: VERIFY_OPTIONS,
    notes: [
      'Checks shapes, scales, kept bytes and what loaders need, and prints the error of every tensor and of all.',
      "Without --against no number is compared: what loaders of the file's layout ask for is all that is checked.",
      'Exit codes: 0 the file is good, 1 it is not, 2 wrong usage, 130 cancelled.',
    ],
  },
  dequantize: {
    usage: 'fp8 dequantize FILE|FOLDER [options]',
    summary: 'Write the numbers of a quantized model as BF16, F16 or F32.',
    options: DEQUANTIZE_OPTIONS,
    notes: ['Scales, markers and what describes them are left out, also from config.json.'],
  },
  migrate: {
    usage: 'fp8 migrate FILE|FOLDER --to LAYOUT [options]',
    summary: 'Store a quantized model as another layout has it; no weight changes.',
    options: MIGRATE_OPTIONS,
    notes: ['What the layout cannot hold is refused with the reason.'],
  },
  devices: {
    usage: 'fp8 devices [options]',
    summary: 'List what can compute here, and why something cannot.',
    options: DEVICES_OPTIONS,
    notes: [],
  },
};

export function generalHelp(): string {
  return [
    'fp8 converts .safetensors models to FP8 (float8_e4m3fn) with learned rounding.',
    '',
    ...columns(COMMANDS.map((name) => [COMMAND_HELP[name].usage, COMMAND_HELP[name].summary])),
    '',
    ...columns([
      ['fp8 COMMAND --help', 'the options of a command'],
      ['fp8 --version', 'the version'],
    ]),
  ].join('\n');
}

export function commandHelp(name: CommandName): string {
  const { usage, summary, options, notes } = COMMAND_HELP[name];
  return [
    `usage: ${usage}`,
    '',
    summary,
    '',
    ...columns(options.map((option) => [optionUsage(option), option.help])),
    ...(notes.length > 0 ? ['', ...notes] : []),
  ].join('\n');
}

function optionUsage({ name, short, value }: OptionSpec): string {
  return `${short === undefined ? '    ' : `-${short}, `}${flag(name)}${value === undefined ? '' : ` ${value}`}`;
}

function columns(rows: readonly (readonly [string, string])[]): readonly string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}
