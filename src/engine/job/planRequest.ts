/** planRequest: what a request comes to on its source: the plan, how to make it anew with tensors kept, and the source as it is read for it. */
import type { Calibration } from '../plan/calibration';
import { makePlan, type PlanOptions } from '../plan/makePlan';
import type { Plan } from '../plan/plan';
import { calibrationOfRecipe } from '../plan/readCalibrationFile';
import { planDequantized } from '../plan/stored/planDequantized';
import { planMigration } from '../plan/stored/planMigration';
import { readScales, readStored } from '../plan/stored/readStored';
import { requireUsableScales } from '../plan/stored/usableScales';
import { sourceForRecipe } from '../plan/stored/sourceForRecipe';
import { loneShardWarning, sourceWarnings } from '../plan/sourceWarnings';
import { EngineError } from '../errors';
import { readModelSource, type ModelSource } from '../safetensors/modelSource';
import type { ConvertRequest } from './convertRequest';

/** What is known of a job only after its first plan. */
export type LaterKnown = Pick<PlanOptions, 'calibration' | 'device' | 'keepAnyway' | 'lostSignals'>;

export interface PlannedRequest {
  /** Its header is that of the numbers, where codes are read as numbers. */
  readonly source: ModelSource;
  readonly plan: Plan;
  /** The plan with what is known meanwhile. */
  readonly replan: (known: LaterKnown) => Plan;
  readonly calibration?: Calibration;
}

/** Reads headers, and of quantized sources what describes their codes. Throws EngineError. */
export async function planRequest(
  { source: path, recipe, work }: Pick<ConvertRequest, 'source' | 'recipe' | 'work'>,
  toolVersion: string,
): Promise<PlannedRequest> {
  const source = await readModelSource(path);
  switch (work?.kind) {
    case 'dequantize': {
      const stored = await readStored(source);
      const plan = namingFile(path, () => planDequantized(source.header, stored, work.dtype));
      await requireUsableScales(source, stored);
      return planned(source, plan);
    }
    case 'migrate': {
      const stored = await readStored(source);
      const scales = await readScales(source, stored, work.layout);
      const plan = namingFile(path, () => planMigration(source.header, stored, work.layout, scales, toolVersion));
      return planned(source, plan);
    }
    case undefined:
      return planConversion(source, recipe, toolVersion);
  }
}

async function planConversion(file: ModelSource, recipe: ConvertRequest['recipe'], toolVersion: string): Promise<PlannedRequest> {
  const { source, stored } = await sourceForRecipe(file, recipe);
  const { header } = source;
  const calibration = await calibrationOfRecipe(recipe, header);
  const options = { toolVersion, ...calibration, ...(stored === undefined ? {} : { stored }) };
  const plan = makePlan(header, recipe, options);
  const warnings = await sourceWarnings(source, plan);
  return {
    source,
    plan: warnOf(plan, warnings),
    replan: (known) => warnOf(makePlan(header, recipe, { ...options, ...known }), warnings),
    ...calibration,
  };
}

function planned(source: ModelSource, plan: Plan): PlannedRequest {
  const shard = loneShardWarning(source);
  const told = warnOf(plan, shard === undefined ? [] : [shard]);
  return { source, plan: told, replan: () => told };
}

function warnOf(plan: Plan, warnings: readonly string[]): Plan {
  return { ...plan, warnings: [...plan.warnings, ...warnings] };
}

/** What a plan refuses without knowing of any file. */
function namingFile(path: string, plan: () => Plan): Plan {
  try {
    return plan();
  } catch (error) {
    const { code, message, details } = EngineError.wrap(error);
    throw new EngineError(code, message, { path, ...details }, { cause: error });
  }
}
