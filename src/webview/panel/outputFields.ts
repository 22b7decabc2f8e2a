/** The fields that say where the output goes, and where the work is done. */
import { formatQuantity } from '../../base/format';
import type { PanelView } from '../protocol/panelApi';
import { button, textField, type DropdownChoice } from '../ui';
import { dropdownField, field, helpId, type Field, type FieldEvents } from './field';

export function outputFields(events: FieldEvents): readonly Field[] {
  const { onOptions } = events;
  return [
    outputField(events),
    dropdownField('Device', [], (device) => onOptions({ device }), {
      value: ({ options }) => options.device,
      choices: ({ devices }) => devices,
      help: ({ deviceHelp }) => deviceHelp,
    }),
    dropdownField('Threads', [], (threads) => onOptions({ threads: Number(threads) }), {
      value: ({ options }) => String(options.threads),
      choices: ({ cores, options }) => threadChoices(cores, options.threads),
      help: () => 'The result is the same, byte for byte, with any number.',
    }),
  ];
}

export function outputSummary({ output, options, devices }: PanelView): string {
  const { device, threads } = options;
  // Its free memory changes, and is not what was chosen.
  const name = devices.find(({ value }) => value === device)?.label.replace(/ \([^()]* free\)$/, '') ?? device;
  // The long name comes last: what differs from the default is never cut off.
  return [...(device === 'auto' ? [] : [name]), ...(threads === 0 ? [] : [formatQuantity(threads, 'thread')]), output.fileName].join(' · ');
}

function outputField({ onOptions, onBrowse }: FieldEvents): Field {
  const label = 'Output';
  const text = textField({ label, describedBy: helpId(label), onChoose: (output) => onOptions({ output }) });
  const browse = button({ label: 'Browse…', name: `${label}: Browse…`, appearance: 'secondary', onPress: () => onBrowse('browseOutput') });
  const root = document.createElement('div');
  root.className = 'path-row';
  root.append(text.root, browse);
  return field<string>(
    label,
    {
      root,
      show(value) {
        text.show(value);
        text.root.title = value;
      },
    },
    {
      value: ({ output }) => output.text,
      before: ({ output }) => text.root.setAttribute('placeholder', output.defaultName),
      help: ({ output: { form, directory } }) => (form === '' ? `In ${directory}` : `${form}, in ${directory}`),
    },
    'wide',
  );
}

function threadChoices(cores: number, chosen: number): readonly DropdownChoice[] {
  const counts = new Set(
    [...Array.from({ length: Math.ceil(Math.log2(cores + 1)) }, (_, i) => 2 ** i), chosen].filter((count) => count > 0),
  );
  const some = [...counts].sort((a, b) => a - b).map((count) => ({ value: String(count), label: String(count) }));
  return [{ value: '0', label: `All (${cores})` }, ...some];
}
