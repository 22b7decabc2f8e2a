/** The extension's entry: makes the parts and connects them. */
import * as vscode from 'vscode';
import { filesToCompare } from './editor/compare/compareCommand';
import { ComparePanels } from './editor/compare/comparePanels';
import { registerCalibrationScript } from './editor/calibrationScript';
import { activeModel, registerCommands } from './editor/commands';
import { Observable } from './base/observable';
import { Conversions } from './editor/conversion/conversions';
import { foldedSections } from './editor/conversion/foldedSections';
import { Devices } from './editor/conversion/devices';
import { Interruptions, markOf } from './editor/conversion/interruptions';
import { logEvent } from './editor/conversion/logEvents';
import { Rates } from './editor/conversion/rates';
import { ConversionStatusBar } from './editor/conversion/statusBar';
import { followEvent, tellInterrupted } from './editor/conversion/watchConversions';
import { ConvertCommand } from './editor/convertCommand';
import type { DrawnFile } from './editor/editorSession';
import { intents, openModel, reveal } from './editor/intents';
import { openAsOneModel } from './editor/openAsOneModel';
import { recipesOf } from './editor/recipe/recipesOf';
import { ChoiceStore } from './editor/recipe/choiceStore';
import { registerReportCommand } from './editor/report/reportCommand';
import { ReportPanels } from './editor/report/reportPanels';
import { Reports } from './editor/report/reports';
import { exportModel } from './editor/model/exportInventory';
import { registerHexViews } from './editor/model/hexView';
import { SafetensorsEditor } from './editor/safetensorsEditor';
import type { PanelView } from './webview/protocol/panelApi';
import { readSettings } from './editor/settings';
import { EngineError } from './engine/errors';
import type { JobReport } from './engine/job/report';
import { EngineClient } from './engine/process/engineClient';

/** What other extensions and tests may use. */
export interface ExtensionApi {
  /** Fires when an editor has drawn its file: the first rows, or why there are none. */
  readonly onDidDraw: vscode.Event<DrawnFile>;
}

let engine: EngineClient | undefined;
let interruptions: Interruptions | undefined;

export function activate(context: vscode.ExtensionContext): ExtensionApi {
  const bundles = vscode.Uri.joinPath(context.extensionUri, 'dist');
  const log = vscode.window.createOutputChannel('FP8 Quantizer', { log: true });
  const client = new EngineClient({ modulePath: vscode.Uri.joinPath(bundles, 'engine.js').fsPath, log: (line) => log.info(line) });
  engine = client;

  const reports = new Reports(vscode.Uri.joinPath(context.globalStorageUri, 'reports').fsPath);
  const comparisons = new ComparePanels(bundles, {
    comparer: client,
    threads: () => readSettings(undefined).threads,
    open: openModel,
  });
  const pages = new ReportPanels(bundles, reports, {
    verify: (request, signal) => client.verify(request, signal),
    open: openModel,
    reveal,
    compare: (source, output) => comparisons.show(source, output),
  });
  // Also one that nobody looks at now.
  const keepReport = (report: JobReport): Promise<void> =>
    reports.store(report).then(
      () => undefined,
      (error: unknown) => log.warn(`The report of ${report.output} was not kept: ${EngineError.wrap(error).message}`),
    );
  const choices = new ChoiceStore(context.workspaceState);
  const devices = new Devices(client);
  const rates = new Rates(context.globalState);
  const marks = new Interruptions(context.workspaceState);
  interruptions = marks;
  const conversions: Conversions = new Conversions(
    client,
    (source, event) => {
      logEvent(log, source, event);
      void followEvent(event, { rates, devices });
      if (event.type === 'done') void keepReport(event.report);
      statusBar.update();
    },
    () => {
      void vscode.commands.executeCommand('setContext', 'fp8.converting', conversions.active.length > 0);
      marks.follow(conversions.active.flatMap((source) => markOf(source, conversions.of(source).value)));
      statusBar.update();
    },
    ({ device }) => devices.resolve(device),
  );
  const statusBar = new ConversionStatusBar(conversions);
  const drawn = new vscode.EventEmitter<DrawnFile>();
  const { actions, perform } = intents({ conversions, showReport: (report) => pages.show(report), log });
  const command = new ConvertCommand(conversions, actions, choices);
  const rememberedPanel = context.workspaceState.get<unknown>('fp8.panel');
  const panel = new Observable<PanelView['panel']>(rememberedPanel === 'closed' || rememberedPanel === 'open' ? rememberedPanel : 'untold');
  const folded = new Observable(foldedSections(context.workspaceState.get<unknown>('fp8.foldedSections')));
  const editor = new SafetensorsEditor(bundles, {
    inventory: { inspector: client, wanted: (uri) => choices.wanted(uri) },
    panel: { choices, devices, rates, panel, folded, conversionOf: (path) => conversions.of(path) },
    recipes: recipesOf(choices, devices),
    conversionOf: (path) => conversions.of(path),
    reports,
    convert: async (uri) => {
      await command.run(uri);
    },
    cancel: (path) => conversions.cancel(path),
    changed: (path) => conversions.forgetOutcome(path),
    drawn: (file) => drawn.fire(file),
    perform,
  });

  context.subscriptions.push(
    log,
    drawn,
    panel.onChange((value) => void context.workspaceState.update('fp8.panel', value)),
    folded.onChange((value) => void context.workspaceState.update('fp8.foldedSections', value)),
    statusBar,
    pages.register(),
    comparisons.register(),
    registerReportCommand(reports, ({ name, output }) => pages.showStored(name, output)),
    vscode.commands.registerCommand('fp8.exportInventory', async (uri?: unknown) => {
      const file = uri instanceof vscode.Uri ? uri : activeModel();
      if (file !== undefined) await exportModel(file, choices.wanted(file).recipe);
    }),
    vscode.commands.registerCommand('fp8.compare', async (uri?: unknown, more?: unknown) => {
      const files = await filesToCompare(uri, more, reports);
      if (files !== undefined) comparisons.show(...files);
    }),
    vscode.commands.registerCommand('fp8.openAsOneModel', (uri?: unknown) => openAsOneModel(uri)),
    editor.register(),
    registerCalibrationScript(context.extensionUri),
    registerHexViews(),
    registerCommands({
      convert: (uri, output) => command.run(uri, output),
      showLog: () => log.show(),
      active: () => conversions.active,
      cancel: (path) => conversions.cancel(path),
    }),
  );
  void tellInterrupted(marks.take(), conversions, (source) => void command.run(vscode.Uri.file(source)));
  return { onDidDraw: drawn.event };
}

/** Running conversions are cancelled and leave nothing behind. */
export async function deactivate(): Promise<void> {
  interruptions?.close();
  await engine?.dispose();
}
