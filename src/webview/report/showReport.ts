/** The start of the report page. */
import { RpcClient } from '../../rpc/client';
import type { ReportApi } from '../protocol/reportApi';
import { hostPort, saveReportState } from '../webviewApi';
import { makeMissingReport, makeReportPage } from './page';

export async function showReport(): Promise<void> {
  const host = new RpcClient<ReportApi>(hostPort);
  const report = await host.request('report', undefined);
  if (report !== undefined) saveReportState(report.id);
  document.body.replaceChildren(report === undefined ? makeMissingReport() : makeReportPage(report, host));
}
