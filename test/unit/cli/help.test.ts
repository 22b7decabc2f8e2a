import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commandHelp, COMMAND_HELP, COMMANDS, generalHelp } from '../../../src/cli/help';

const manual = readFileSync(resolve('docs/cli.md'), 'utf8');

describe.each(COMMANDS)('fp8 %s', (name) => {
  const { options } = COMMAND_HELP[name];

  it('has help with every option', () => {
    expect(generalHelp()).toContain(COMMAND_HELP[name].usage);
    for (const option of options) expect(commandHelp(name)).toContain(`--${option.name}`);
    for (const line of commandHelp(name).split('\n')) expect(line.length).toBeLessThan(140);
  });

  it('has no two options of one name', () => {
    const names = options.flatMap(({ name: long, short }) => [long.replaceAll('-', '_'), ...(short === undefined ? [] : [short])]);
    expect(new Set(names).size).toBe(names.length);
  });

  it('is described in docs/cli.md with every option', () => {
    const section = new RegExp(`^## fp8 ${name}$([^]*?)(?=^## |$(?![^]))`, 'm').exec(manual)?.[1] ?? '';
    for (const option of options.filter(({ name: long }) => long !== 'help')) {
      expect(section).toMatch(new RegExp(`\`(-\\w\`, \`)?--${option.name}[\` ]`));
      if (option.short !== undefined) expect(section).toContain(`\`-${option.short}\``);
    }
  });
});
