/** Verify, and what came of it, on the report page. */
import type { RpcClient } from '../../rpc/client';
import { formatPercent } from '../../base/format';
import { element } from '../dom';
import { icon } from '../icons';
import type { ReportApi, VerificationView } from '../protocol/reportApi';

export interface Verification {
  readonly root: HTMLElement;
  /** Nothing new where it is on its way already. */
  start(): void;
}

export function makeVerification(host: RpcClient<ReportApi>): Verification {
  const root = element('section', { class: 'verification', aria: { label: 'Verification', live: 'polite' } });
  root.hidden = true;
  let isRunning = false;
  const run = async (): Promise<void> => {
    root.hidden = false;
    for await (const view of host.stream('verify', undefined)) root.replaceChildren(...content(view));
  };
  return {
    root,
    start() {
      if (isRunning) return;
      isRunning = true;
      void run().finally(() => (isRunning = false));
    },
  };
}

function content(view: VerificationView): readonly Node[] {
  switch (view.phase) {
    case 'running':
      return [element('p', { text: `Verifying: ${formatPercent(view.fraction)}` })];
    case 'good':
      return [element('p', {}, [icon('check'), element('span', { text: view.sentence })]), ...list(view.warnings)];
    case 'bad':
      return [element('p', {}, [icon('error'), element('span', { text: view.sentence })]), ...list(view.problems)];
  }
}

function list(items: readonly string[]): readonly HTMLElement[] {
  if (items.length === 0) return [];
  return [
    element(
      'ul',
      {},
      items.map((text) => element('li', { text })),
    ),
  ];
}
