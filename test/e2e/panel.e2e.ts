/** The quantization panel, a conversion while it runs, its report, and a window that reloads in the middle of it. */
import * as assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FrameLocator } from 'playwright-core';
import { readHeader } from '../../src/engine/safetensors/reader';
import { writeLargeModel } from '../support/largeModel';
import { writeModel } from '../support/modelFile';
import { accessibilityFindings } from '../support/accessibility';
import { takePicture } from '../support/pictures';
import { reads } from '../support/reads';
import { withFiles, type Preparation, type Scenario, type ScenarioContext } from '../support/scenario';
import type { ColorTheme } from '../support/workbench';
import { modelName } from '../support/workspace';

const outputName = 'kjv-lm_fp8_e4m3fn_scaled.safetensors';
const outputStem = outputName.replace('.safetensors', '');
const largeName = 'large.safetensors';
const THEMES: readonly (readonly [ColorTheme, string])[] = [
  ['Default Light Modern', 'light'],
  ['Default High Contrast', 'contrast'],
  ['Default Dark Modern', 'dark'],
];

export const panelOverride: Scenario = async (context) => {
  const { workbench, step } = context;
  await workbench.resize(1500, 960);
  const frame = await openModel(context, modelName);
  await step('see what would come of it before anything is pressed', async () => {
    await frame.locator('.forecast', { hasText: /8\.30 MB[\s\S]*4\.30 MB/ }).waitFor();
    await reads(frame.locator('.forecast'), /FP8 35[\s\S]*Kept 13[\s\S]*about[\s\S]*left after it/);
  });
  await step('keep some tensors by a pattern', async () => {
    await frame.getByRole('textbox', { name: 'Pattern' }).fill('*.mlp.*');
    await frame.getByRole('button', { name: 'Add' }).click();
    await frame.locator('.overrides-list li', { hasText: '15 tensors' }).waitFor();
    await frame.locator('.forecast', { hasText: 'FP8 20' }).waitFor();
    await frame.locator('.totals', { hasText: /Quantize\s*20/ }).waitFor();
    await frame.locator('.reason', { hasText: 'Override: *.mlp.* → keep.' }).first().waitFor({ state: 'attached' });
  });
  await step('save the recipe', async () => {
    await frame.getByRole('button', { name: 'Save Recipe…' }).click();
    await workbench.answerFileDialog('Save Recipe');
    await workbench.toast(/Saved the recipe to .*kjv-lm\.fp8recipe\.json/).waitFor();
    const text = await readFile(join(context.workspace, 'kjv-lm.fp8recipe.json'), 'utf8');
    assert.deepEqual((JSON.parse(text) as { overrides: unknown }).overrides, [{ match: '*.mlp.*', action: 'keep' }]);
    await workbench.command('Notifications: Clear All Notifications');
  });
  await step('be told of a pattern that cannot be read', async () => {
    await frame.getByRole('textbox', { name: 'Pattern' }).fill('/(/');
    await frame.getByRole('button', { name: 'Add' }).click();
    await frame.getByRole('alert').filter({ hasText: 'is not a regular expression' }).waitFor();
    await frame.getByRole('textbox', { name: 'Pattern' }).fill('');
  });
  await step('find nothing that shuts people out', () => accessible(frame));
  for (const [theme, suffix] of THEMES) {
    await step(`look at it, ${suffix}`, async () => {
      await workbench.setColorTheme(theme);
      await takePicture(context, `panel-${suffix}`);
    });
  }
  await step('find the choices again after the tab was closed', async () => {
    await workbench.command('View: Close All Editors');
    const again = await openModel(context, modelName);
    await again.locator('.overrides-list li', { hasText: '*.mlp.*' }).waitFor();
    await again.getByRole('button', { name: 'Reset the override *.mlp.*' }).click();
    await again.locator('.forecast', { hasText: 'FP8 35' }).waitFor();
  });
};

export const recipeAndOutput: Scenario = async (context) => {
  const { workbench, workspace, step } = context;
  await workbench.resize(1500, 960);
  const recipe = join(workspace, 'mine.fp8recipe.json');
  const broken = join(workspace, 'broken.fp8recipe.json');
  await writeFile(recipe, JSON.stringify({ rounding: 'nearest', overrides: [{ match: '*.q_proj.weight', action: 'keep' }] }));
  await writeFile(broken, JSON.stringify({ rounding: 'best' }));
  const frame = await openModel(context, modelName);
  const load = async (path: string): Promise<void> => {
    await frame.getByRole('button', { name: 'Load Recipe…' }).click();
    await workbench.answerFileDialog('Load Recipe', path);
  };
  await step('load a recipe', async () => {
    await frame.locator('.forecast', { hasText: 'FP8 35' }).waitFor();
    await load(recipe);
    await frame.locator('.overrides-list li', { hasText: '*.q_proj.weight' }).waitFor();
    await frame.locator('.forecast', { hasText: 'FP8 30' }).waitFor();
    await frame.locator('.strip', { hasText: 'Nearest rounding' }).waitFor();
  });
  await step('be told what is wrong with another one, and keep what was chosen', async () => {
    await load(broken);
    await workbench.toast(/The recipe was not loaded\. .*broken\.fp8recipe\.json: "rounding" must be one of/).waitFor();
    await workbench.command('Notifications: Clear All Notifications');
    await frame.locator('.strip', { hasText: 'Nearest rounding' }).waitFor();
  });
  await step('browse for another output', async () => {
    await frame.getByRole('button', { name: 'Output: Browse…' }).click();
    await workbench.answerFileDialog('Save the Converted Model As', join(workspace, 'chosen.safetensors'));
    await frame.locator('.strip-name', { hasText: 'chosen.safetensors' }).waitFor();
  });
  await step('be refused outputs that cannot be written, and led out', async () => {
    const field = frame.getByRole('textbox', { name: 'Output' });
    const error = frame.locator('.forecast-error');
    const wayOut = (name: string) => frame.getByRole('group', { name: 'Ways out' }).getByRole('button', { name, exact: true });
    const type = async (text: string): Promise<void> => {
      await field.fill(text);
      await field.press('Enter');
    };
    const shows = (text: string) => frame.locator(`vscode-text-field[aria-label="Output"][current-value="${text}"]`).waitFor();
    await type(modelName);
    await error.filter({ hasText: `This is the source itself, ${modelName}` }).waitFor();
    await frame.getByRole('button', { name: 'Convert to FP8' }).and(frame.locator('[disabled]')).waitFor();
    await frame.locator('.strip', { hasText: 'This cannot be converted as it is chosen' }).waitFor();
    await wayOut('Browse…').waitFor();
    await takePicture(context, 'panel-output-refused');
    await wayOut('Use Default Name').click();
    await error.waitFor({ state: 'detached' });
    await shows(outputName);
    await frame.locator('vscode-text-field[aria-label="Output"]:focus-within').waitFor();
    await type('new/a.txt');
    await error.filter({ hasText: `there is no folder ${join(workspace, 'new')}` }).waitFor();
    await wayOut('Create the Folder').click();
    await error.waitFor({ state: 'detached' });
    await shows(join(workspace, 'new', 'a.txt.safetensors'));
    await type('chosen.txt');
    await shows('chosen.txt.safetensors');
    await type('chosen.safetensors');
    await frame.locator('.strip-name', { hasText: 'chosen.safetensors' }).waitFor();
    assert.equal(await field.getAttribute('placeholder'), outputName);
  });
  await step('choose a calibration file, and let go of it', async () => {
    const calibration = join(workspace, 'calibration.safetensors');
    const field = frame.getByRole('textbox', { name: 'Calibration file' });
    const shows = (text: string) => frame.locator('#help-calibration-file', { hasText: text }).waitFor();
    await writeModel(calibration, [{ name: 'model.layers.0.self_attn.q_proj.input', dtype: 'F32', shape: [4, 256] }]);
    await frame.locator('.section-summary', { hasText: 'without effect' }).waitFor();
    await frame.locator('[data-section="statistics"] > summary').click();
    await frame.getByRole('combobox', { name: 'Rounding' }).press('Home');
    await shows('Real inputs of the layers');
    await frame.getByRole('button', { name: 'Calibration file: Browse…' }).click();
    await workbench.answerFileDialog('Choose a Calibration File', calibration);
    await shows(calibration);
    assert.equal(await field.inputValue(), calibration);
    await frame.locator('.forecast-error').waitFor({ state: 'detached' });
    await takePicture(context, 'panel-statistics');
    await field.fill('missing.safetensors');
    await field.press('Enter');
    await frame.locator('.forecast-error', { hasText: join(workspace, 'missing.safetensors') }).waitFor();
    await frame.getByRole('button', { name: 'Calibration file: Clear' }).click();
    await shows('Real inputs of the layers');
    await frame.locator('.forecast-error').waitFor({ state: 'detached' });
    await frame.getByRole('combobox', { name: 'Statistics' }).press('End');
    await frame.locator('#help-statistics', { hasText: 'Choose a calibration file below.' }).waitFor();
    await frame.locator('.forecast-error', { hasText: 'no calibration file' }).waitFor();
    await frame.getByRole('button', { name: 'Browse for a File…' }).waitFor();
    await frame.getByRole('button', { name: 'Use Automatic' }).click();
    await frame.locator('.forecast-error').waitFor({ state: 'detached' });
    assert.equal(await frame.locator('.panel :focus').count(), 1);
    await frame.locator('#help-statistics', { hasText: 'else' }).waitFor();
    await frame.getByRole('combobox', { name: 'Bias correction' }).press('End');
    await frame.locator('#help-bias-correction', { hasText: 'Biases stay as they are.' }).waitFor();
    await frame.locator('[data-section="statistics"] > summary').click();
    await frame.locator('.section-summary', { hasText: 'Automatic · no bias correction' }).waitFor();
    await frame.getByRole('combobox', { name: 'Rounding' }).press('End');
    await frame.locator('.strip', { hasText: 'Nearest rounding' }).waitFor();
  });
  await step('convert to it, with that recipe', async () => {
    await frame.getByRole('button', { name: 'Convert to FP8' }).click();
    await workbench.toast(/Converted kjv-lm\.safetensors to FP8/).waitFor();
    const header = await readHeader(join(workspace, 'chosen.safetensors'));
    assert.equal(header.byName.get('model.layers.0.self_attn.q_proj.weight')?.dtype, 'BF16');
    assert.equal(header.byName.get('model.layers.0.self_attn.k_proj.weight')?.dtype, 'F8_E4M3');
  });
  await step('go back to the settings', async () => {
    // It would lie over the buttons.
    await workbench.command('Notifications: Clear All Notifications');
    await frame.getByRole('button', { name: 'Reset', exact: true }).click();
    await frame.locator('.forecast', { hasText: 'FP8 35' }).waitFor();
    await frame.locator('.overrides-list li').first().waitFor({ state: 'hidden' });
  });
};

export const panelNarrow: Scenario = async (context) => {
  const { workbench, step } = context;
  const frame = await openModel(context, modelName);
  await step('open the options above the table', async () => {
    assert.equal(await frame.locator('.panel').isVisible(), false);
    await frame.getByRole('button', { name: 'Options' }).click();
    await frame.locator('.forecast', { hasText: '4.30 MB' }).waitFor();
  });
  await step('choose nearest rounding by keyboard', async () => {
    await frame.getByRole('combobox', { name: 'Rounding' }).press('End');
    await frame.locator('.strip', { hasText: 'Nearest rounding' }).waitFor();
  });
  await step('find nothing that shuts people out', () => accessible(frame));
  await takePicture(context, 'panel-above');
  await step('close them, also for the next editor', async () => {
    await workbench.resize(820, 800);
    await takePicture(context, 'panel-narrow');
    await frame.getByRole('button', { name: 'Options' }).click();
    await frame.locator('.panel').waitFor({ state: 'hidden' });
  });
};

export const reportPage: Scenario = async (context) => {
  const { workbench, step } = context;
  await workbench.resize(1500, 1100);
  const frame = await openModel(context, modelName);
  await step('convert, and show the report', async () => {
    await frame.getByRole('button', { name: 'Convert to FP8' }).click();
    await frame.getByRole('button', { name: 'Show Report' }).click();
    await workbench.command('Notifications: Clear All Notifications');
  });
  await step('read it', async () => {
    const body = workbench.webviewFrame().locator('body');
    await reads(body, /35 quantized, 13 kept/);
    await reads(body, /Objective[\s\S]*of nearest rounding/);
    await reads(body, /Largest errors, 10 of 35 tensors/);
  });
  await step('verify', async () => {
    await workbench.webviewFrame().getByRole('button', { name: 'Verify' }).click();
    await workbench
      .webviewFrame()
      .locator('.verification', { hasText: /Verified 48 tensors/ })
      .waitFor();
  });
  await step('find nothing that shuts people out', () => accessible(workbench.webviewFrame()));
  for (const [theme, suffix] of THEMES) {
    await workbench.setColorTheme(theme);
    await takePicture(context, `report-${suffix}`);
  }
  await step('save it as JSON and as Markdown', async () => {
    for (const [label, name, content] of [
      ['Save as JSON…', `${outputStem}.report.json`, /"tool":/],
      ['Save as Markdown…', `${outputStem}.report.md`, /^# /],
    ] as const) {
      await workbench.webviewFrame().getByRole('button', { name: label }).click();
      await workbench.answerFileDialog('Save the Report');
      await workbench.page.locator('.tab.active', { hasText: name }).waitFor();
      assert.match(await readFile(join(context.workspace, name), 'utf8'), content);
      await workbench.command('View: Close Editor');
      await reportShown(workbench.webviewFrame());
    }
  });
  await step('compare the output with its source from it, and open the output', async () => {
    await workbench.webviewFrame().getByRole('button', { name: 'Compare' }).click();
    await workbench
      .webviewFrame()
      .locator('h1', { hasText: `${modelName} ↔ ${outputName}` })
      .waitFor();
    await workbench.webviewFrame().locator('.compare-status', { hasText: 'together' }).waitFor();
    await workbench.command('View: Close Editor');
    await reportShown(workbench.webviewFrame());
    await workbench.webviewFrame().getByRole('button', { name: 'Open', exact: true }).click();
    await workbench.page.locator('.tab.active', { hasText: outputName }).waitFor();
    await workbench.webviewFrame().locator('.row[data-index="0"] .name-leaf:not(:empty)').waitFor();
    await workbench.command('View: Close Editor');
  });
  await step('find it again after a reload', async () => {
    await workbench.page.reload();
    await reportShown(workbench.webviewFrame());
  });
};

export const cancelConversion: Scenario = withFiles(writeLargeFiles, async (context) => {
  const { workbench, workspace, engines, step } = context;
  await workbench.resize(1500, 960);
  const frame = await openModel(context, largeName);
  await step('convert, and see how far it is in the panel, the notification and the status bar', async () => {
    await frame.getByRole('button', { name: 'Convert to FP8' }).click();
    await frame.locator('.plot-reading', { hasText: /\d tensors?, / }).waitFor();
    await reads(frame.locator('.strip'), /\d+ of 64 tensors · [\s\S]* left/);
    // From here on nothing depends on how fast it is.
    await engines.hold();
    await workbench.page.locator('.statusbar-item', { hasText: /FP8/ }).waitFor();
    await workbench.toast('Converting large.safetensors to FP8').waitFor();
    await reads(frame.locator('.plot'), /tensors?, (median |all )?\d[\s\S]*nearest/i);
  });
  await step('find nothing that shuts people out while it runs', () => accessible(frame));
  await takePicture(context, 'running-dark');
  await step('close the editor and find the conversion running in the next one', async () => {
    await workbench.command('View: Close All Editors');
    const again = await workbench.openInCustomEditor(largeName);
    await again.getByRole('progressbar').waitFor();
    await again.locator('.plot-reading', { hasText: /\d tensors?, / }).waitFor();
    await engines.release();
    await again.getByRole('button', { name: 'Cancel' }).click();
    await again.locator('.strip', { hasText: 'Cancelled: nothing was written' }).waitFor();
    assert.deepEqual(await outputsIn(workspace), []);
  });
});

export const queueOnOneDevice: Scenario = withFiles(writeLargeFiles, async (context) => {
  const { workbench, workspace, engines, step } = context;
  const first = await openModel(context, largeName);
  await step('convert one model', async () => {
    await first.getByRole('button', { name: 'Convert to FP8' }).click();
    await first.getByRole('progressbar').waitFor();
    await engines.hold();
  });
  await step('convert another one, which waits', async () => {
    const second = await openModel(context, modelName);
    await second.getByRole('button', { name: 'Convert to FP8' }).click();
    await second.locator('.strip', { hasText: 'Waiting for another conversion to end' }).waitFor();
    await workbench.page.locator('.statusbar-item', { hasText: /FP8/ }).waitFor();
    // The first one may have begun to write.
    assert.deepEqual(
      (await outputsIn(workspace)).filter((name) => !name.includes('large')),
      [],
    );
  });
  await step('cancel the first one, and the other one is done', async () => {
    await workbench.page.locator('.tab', { hasText: largeName }).click();
    await engines.release();
    await workbench.webviewFrame().getByRole('button', { name: 'Cancel' }).click();
    await workbench.toast(/Converted kjv-lm\.safetensors to FP8/).waitFor();
    assert.deepEqual(await outputsIn(workspace), [outputName]);
  });
});

export const reloadDuringConversion: Scenario = withFiles(writeLargeFiles, async (context) => {
  const { workbench, workspace, step } = context;
  const frame = await openModel(context, largeName);
  await step('convert, and reload in the middle', async () => {
    await frame.getByRole('button', { name: 'Convert to FP8' }).click();
    await frame.locator('.strip .numbers', { hasText: 'tensors' }).waitFor();
    await workbench.page.reload();
  });
  await step('be told that it was interrupted, with nothing left behind', async () => {
    // A browser that reloads has not always stored which tabs were open.
    const after = await workbench.openInCustomEditor(largeName);
    await after.locator('.strip', { hasText: 'Interrupted by a reload: nothing was written' }).waitFor();
    await workbench.toast(/was interrupted when the window closed\. Nothing was written\./).waitFor();
    assert.deepEqual(await outputsIn(workspace), []);
    await after.getByRole('button', { name: 'Convert Again' }).waitFor();
  });
  await takePicture(context, 'interrupted-dark');
});

async function openModel({ workbench }: ScenarioContext, name: string): Promise<FrameLocator> {
  const frame = await workbench.openInCustomEditor(name);
  await frame.locator('.row[data-index="0"] .name-leaf:not(:empty)').waitFor();
  return frame;
}

/** Whose conversion is far from its end whenever it is looked at, on any machine. */
async function writeLargeFiles({ workspace }: Parameters<Preparation>[0]): Promise<void> {
  await writeLargeModel(join(workspace, largeName));
  await mkdir(join(workspace, '.vscode'));
  await writeFile(join(workspace, '.vscode/settings.json'), JSON.stringify({ 'fp8.threads': 1 }));
}

async function accessible(frame: FrameLocator): Promise<void> {
  const findings = await accessibilityFindings(frame);
  assert.deepEqual(
    findings.filter(({ impact }) => impact === 'serious' || impact === 'critical'),
    [],
  );
}

async function reportShown(frame: FrameLocator): Promise<void> {
  await frame.locator('h1', { hasText: outputName }).waitFor();
}

async function outputsIn(workspace: string): Promise<readonly string[]> {
  return (await readdir(workspace)).filter((name) => name.includes('fp8'));
}
