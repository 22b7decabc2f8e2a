/** `fp8 verify`: checks a converted file against its source and prints the error of every tensor; without a source, by its loader's rules alone. */
import { resolve } from 'node:path';
import { formatQuantity, formatSeconds } from '../../base/format';
import {
  MEASURED_STATES,
  type TensorVerification,
  type VerifyEnd,
  type VerifyEvent,
  type VerifyReport,
  type VerifyRequest,
} from '../../engine/job/verify/verifyEvent';
import { EngineClient } from '../../engine/process/engineClient';
import { Arguments } from '../arguments';
import { EXIT, type CommandContext, type ExitCode } from '../command';
import { VERIFY_OPTIONS } from '../options';
import { errorText } from '../output/errorText';
import { ProgressView } from '../output/progress';
import { errorPercent } from '../output/reportText';
import { printable, table } from '../output/text';
import type { Style } from '../output/terminal';
import { readThreads } from '../recipeOptions';
import { singleFile } from '../singleFile';

/** What else may have become of tensors, said only where it has. */
const OTHER_STATES: readonly (readonly [TensorVerification['state'], string])[] = [
  ['corrected', 'biases corrected'],
  ['dequantized', 'dequantized'],
  ['migrated', 'with the same numbers in this layout'],
  ['removed', 'removed'],
];

export async function verify(words: readonly string[], context: CommandContext): Promise<ExitCode> {
  const given = Arguments.parse(words, VERIFY_OPTIONS);
  const converted = singleFile(given, 'verify');
  const source = given.text('against');
  const request = {
    converted: resolve(converted),
    ...(source === undefined ? {} : { source: resolve(source) }),
    threads: readThreads(given),
  };
  const progress = new ProgressView(context.terminal);
  let end: VerifyEnd | undefined;
  for await (const event of eventsOf(request, context)) {
    if (event.type === 'progress') progress.show(event);
    else if (event.type !== 'tensorVerified') end = event;
  }
  progress.clear();
  return finish(end, given.has('json') ? 'json' : 'text', context);
}

async function* eventsOf(request: VerifyRequest, { engineModule, signal }: CommandContext): AsyncGenerator<VerifyEvent, void, undefined> {
  const client = new EngineClient({ modulePath: engineModule });
  try {
    yield* client.verify(request, signal);
  } finally {
    await client.dispose();
  }
}

function finish(end: VerifyEnd | undefined, format: 'text' | 'json', { terminal }: CommandContext): ExitCode {
  switch (end?.type) {
    case 'done':
      terminal.print(format === 'json' ? JSON.stringify(end.report, undefined, 2) : verifyText(end.report, terminal.style));
      return end.report.ok ? EXIT.done : EXIT.error;
    case 'cancelled':
      terminal.tell('fp8: cancelled.');
      return EXIT.cancelled;
    case 'failed':
      terminal.tell(errorText(end.error));
      return EXIT.error;
    case undefined:
      throw new Error('the verification did not end');
  }
}

function verifyText(report: VerifyReport, style: Style): string {
  const { tensors, problems, warnings, ok, converted, source } = report;
  const count = (state: TensorVerification['state']): number => tensors.filter((tensor) => tensor.state === state).length;
  const bad = problems.length + tensors.reduce((total, tensor) => total + tensor.problems.length, 0);
  const others = OTHER_STATES.flatMap(([state, words]) => (count(state) === 0 ? [] : [`${count(state)} ${words}`]));
  const against = source === undefined ? ' by the rules of its loader alone' : ` against ${printable(source)}`;
  return [
    ...tensorTable(tensors, style),
    ...findings(report).map((finding) => `${style.bad('wrong:')} ${printable(finding)}`),
    ...warnings.map((warning) => `${style.warning('warning:')} ${printable(warning)}`),
    `${ok ? style.good('Good') : style.bad('Not good')}: ${printable(converted)}${against} (${formatSeconds(report.seconds)})`,
    `  layout   ${report.layout}${report.writtenBy === undefined ? '' : `, written by fp8-quantizer ${printable(report.writtenBy)}`}`,
    ...(tensors.length === 0
      ? []
      : [
          `  tensors  ${[`${count('quantized')} quantized`, `${count('kept')} kept${source === undefined ? '' : ' byte for byte'}`, ...others, `${count('wrong')} wrong`].join(', ')}`,
          `  error    ${errorLine(report)}`,
        ]),
    ...(ok ? [] : [`  ${formatQuantity(bad, 'problem')}`]),
  ].join('\n');
}

/** Nothing, where all of it would say that a tensor is as it was. */
function tensorTable(tensors: readonly TensorVerification[], style: Style): readonly string[] {
  if (tensors.every(({ state }) => state === 'kept' || state === 'removed')) return [];
  const columns = [
    { title: 'tensor', align: 'left' },
    { title: 'state', align: 'left' },
    { title: 'error', align: 'right' },
    { title: 'largest', align: 'right' },
    { title: 'scale', align: 'right' },
  ] as const;
  return [...table(columns, tensors.map(rowOf), style.dim), ''];
}

/** More tensors than these of which the same is wrong are told together. */
const TOLD_APART = 3;

function findings({ tensors, problems }: Pick<VerifyReport, 'tensors' | 'problems'>): readonly string[] {
  const told = [
    ...tensors.flatMap((tensor) => tensor.problems.map((problem) => ({ name: tensor.name, problem }))),
    ...problems.map((problem) => {
      const [, name, rest] = /^(\S+): ([^]+)$/.exec(problem) ?? [];
      return name === undefined || rest === undefined ? { problem } : { name, problem: rest };
    }),
  ];
  const groups = new Map<string, (string | undefined)[]>();
  for (const { name, problem } of told) groups.set(problem, [...(groups.get(problem) ?? []), name]);
  return [...groups].flatMap(([problem, names]) => {
    const [first] = names;
    if (names.length > TOLD_APART && first !== undefined) return [`${first} and ${names.length - 1} others: ${problem}`];
    return names.map((name) => (name === undefined ? problem : `${name}: ${problem}`));
  });
}

function errorLine({ source, relativeError, tensors }: VerifyReport): string {
  if (source === undefined) return 'not measured: nothing was compared with a source (--against SOURCE)';
  const measured = MEASURED_STATES.find((state) => tensors.some((tensor) => tensor.state === state));
  if (relativeError === undefined || measured === undefined) return 'not measured: no tensor is quantized';
  return `${errorPercent(relativeError)} of the weights' norm, over all ${measured} tensors`;
}

function rowOf({ name, state, relativeError, maxAbsoluteError, scale }: TensorVerification): readonly string[] {
  return [
    printable(name),
    state,
    relativeError === undefined ? '–' : errorPercent(relativeError),
    maxAbsoluteError === undefined ? '–' : maxAbsoluteError.toExponential(2),
    scale === undefined ? '–' : scale.toExponential(4),
  ];
}
