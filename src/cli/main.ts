/** fp8: the command line. Finds the command, tells it of Ctrl-C, and turns errors into lines and exit codes. */
import { join } from 'node:path';
import { suggest } from '../base/suggest';
import { version } from '../base/version';
import { EngineError } from '../engine/errors';
import { EXIT, type Command, type ExitCode } from './command';
import { convert } from './commands/convert';
import { dequantize } from './commands/dequantize';
import { devices } from './commands/devices';
import { inspect } from './commands/inspect';
import { migrate } from './commands/migrate';
import { verify } from './commands/verify';
import { commandHelp, COMMANDS, generalHelp, type CommandName } from './help';
import { errorText } from './output/errorText';
import { printable } from './output/text';
import { processTerminal, type Terminal } from './output/terminal';
import { UsageError } from './usageError';

const IMPLEMENTATIONS: Readonly<Record<CommandName, Command>> = { convert, inspect, verify, dequantize, migrate, devices };

async function main(words: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const [first, ...rest] = words;
  if (first === undefined || first === '--help' || first === '-h' || first === 'help') {
    const [topic] = rest;
    terminal.print(first === 'help' && topic !== undefined ? commandHelp(commandNamed(topic)) : generalHelp());
    return first === undefined ? EXIT.usage : EXIT.done;
  }
  if (first === '--version' || first === '-V' || first === 'version') {
    terminal.print(version);
    return EXIT.done;
  }
  const { name, words: commandWords } = commandOf(first, words);
  const optionWords = commandWords.slice(0, commandWords.includes('--') ? commandWords.indexOf('--') : undefined);
  if (optionWords.includes('--help') || optionWords.includes('-h')) {
    terminal.print(commandHelp(name));
    return EXIT.done;
  }
  const cancellation = new AbortController();
  const cancel = (): void => cancellation.abort();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, cancel);
  const context = { terminal, signal: cancellation.signal, engineModule: join(__dirname, 'engine.js'), version };
  return IMPLEMENTATIONS[name](commandWords, context).catch((error: unknown) => {
    throw error instanceof UsageError ? new UsageError(error.message, `fp8 ${name} --help`) : error;
  });
}

/** Options without a command are for `convert`. Throws UsageError. */
function commandOf(first: string, words: readonly string[]): { readonly name: CommandName; readonly words: readonly string[] } {
  if (isCommand(first)) return { name: first, words: words.slice(1) };
  if (first.startsWith('-')) return { name: 'convert', words };
  if (/\.(safetensors|sft)$/i.test(first)) throw new UsageError(`what should be done with ${first}? Try: fp8 convert ${first}`);
  return { name: commandNamed(first), words: words.slice(1) };
}

/** Throws UsageError. */
function commandNamed(word: string): CommandName {
  if (isCommand(word)) return word;
  const meant = suggest(word, COMMANDS);
  throw new UsageError(
    `unknown command ${word}${meant === undefined ? `; the commands are ${COMMANDS.join(', ')}` : `; did you mean ${meant}?`}`,
  );
}

function isCommand(word: string | undefined): word is CommandName {
  return COMMANDS.some((name) => name === word);
}

function failed(error: unknown, terminal: Terminal): ExitCode {
  if (error instanceof UsageError) {
    terminal.tell(`fp8: error: ${printable(error.message)} (${error.help} shows how)`);
    return EXIT.usage;
  }
  terminal.tell(errorText(EngineError.wrap(error).toJSON()));
  return EXIT.error;
}

/** A reader that goes away wants no more; any other way in which results are lost is an error. */
function watchResults(tell: (problem: string) => void): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || resultsLost) return;
    resultsLost = true;
    process.exitCode = EXIT.error;
    tell(`fp8: error: what is printed could not be written: ${error.message}`);
  });
}

let resultsLost = false;
const terminal = processTerminal(process.stdout, process.stderr, process.env);
watchResults((problem) => terminal.tell(problem));
void main(process.argv.slice(2), terminal)
  .catch((error: unknown) => failed(error, terminal))
  .then((code) => {
    process.exitCode = resultsLost && code === EXIT.done ? EXIT.error : code;
  });
