/** outputProblem: why nothing can be written where the output is to be, and what can be done about it. Pure. */
import { basename, dirname } from 'node:path';
import type { Notice } from '../../webview/protocol/panelApi';
import type { OutputPlace } from './outputPlace';

/** `undefined` where something can be written, be it after a question. */
export function outputProblem(path: string, place: OutputPlace): Notice | undefined {
  switch (place) {
    case 'free':
    case 'file':
    case 'folder':
      return undefined;
    case 'source':
      return {
        text: `This is the source itself, ${basename(path)}, and no source is ever written to.`,
        remedies: [{ kind: 'defaultName' }, { kind: 'browseOutput' }],
      };
    case 'noFolder':
      return {
        text: `The output cannot be written: there is no folder ${dirname(path)}.`,
        remedies: [{ kind: 'createFolder' }, { kind: 'defaultName' }, { kind: 'browseOutput' }],
      };
    case 'impossible':
      return {
        text: `The output cannot be written: there can be no file ${path}.`,
        remedies: [{ kind: 'defaultName' }, { kind: 'browseOutput' }],
      };
  }
}
