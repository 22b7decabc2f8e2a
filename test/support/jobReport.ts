/** jobReport: a report of one small conversion, of which a test says what matters to it. */
import type { JobReport } from '../../src/engine/job/report';
import { defaultRecipe } from '../../src/engine/plan/recipe';

export function jobReport(own: Partial<JobReport>): JobReport {
  return {
    tool: { name: 'fp8-quantizer', version: '1.2.3' },
    source: '/models/a.safetensors',
    output: '/models/a_fp8.safetensors',
    model: { family: 'unknown', title: 'unknown', naming: 'original', prefix: '', evidence: [] },
    recipe: defaultRecipe(),
    tensors: [],
    warnings: [],
    notes: [],
    summary: {
      bytesIn: 16,
      bytesOut: 12,
      counts: { quantize: 1, keep: 2, remove: 0 },
      relativeError: 0.026,
      objectiveRatio: 0.5,
      seconds: { total: 1, plan: 0, convert: 1, finish: 0, read: 0, compute: 1, write: 0, copy: 0 },
      device: 'cpu',
      deviceName: 'Test CPU',
      threads: 2,
      peakMemoryBytes: 1e6,
    },
    ...own,
  };
}
