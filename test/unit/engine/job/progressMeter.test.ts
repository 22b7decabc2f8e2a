import { beforeEach, describe, expect, it } from 'vitest';
import { ProgressMeter } from '../../../../src/engine/job/progressMeter';

let seconds = 0;
const meterOf = (...work: number[]): ProgressMeter =>
  new ProgressMeter(new Map(work.map((amount, id) => [id, { name: `t${id}`, work: amount, bytes: 100 * amount }])), () => seconds);

beforeEach(() => {
  seconds = 0;
});

describe('ProgressMeter', () => {
  it('weighs tensors by their work, running ones by their share', () => {
    const meter = meterOf(1, 1, 8);
    meter.started(2);
    meter.advanced(2, 0.5);
    expect(meter.snapshot()).toMatchObject({
      fraction: 0.4,
      bytesDone: 400,
      bytesTotal: 1000,
      tensorsDone: 0,
      tensorsTotal: 3,
      current: ['t2'],
    });
    meter.finished(2);
    expect(meter.snapshot()).toMatchObject({ fraction: 0.8, tensorsDone: 1, current: [] });
  });

  it('extrapolates a steady pace exactly, and says nothing at the very start', () => {
    const meter = meterOf(...Array.from({ length: 100 }, () => 1));
    expect(meter.snapshot()).not.toHaveProperty('remainingSeconds');
    for (let id = 0; id < 60; id++) {
      seconds += 2;
      meter.finished(id);
      meter.snapshot();
    }
    expect(meter.snapshot().remainingSeconds).toBeCloseTo(80, 3);
    expect(meter.snapshot().bytesPerSecond).toBeCloseTo(50, 3);
  });

  it('follows a change of pace within seconds, without jumping', () => {
    const meter = meterOf(...Array.from({ length: 1000 }, () => 1));
    let id = 0;
    const run = (count: number, pace: number): void => {
      for (let i = 0; i < count; i++) {
        seconds += pace;
        meter.finished(id++);
        meter.snapshot();
      }
    };
    run(100, 0.1);
    const before = meter.snapshot().bytesPerSecond;
    run(1, 1);
    expect(meter.snapshot().bytesPerSecond).toBeGreaterThan(before * 0.6);
    run(30, 1);
    expect(meter.snapshot().bytesPerSecond).toBeCloseTo(100, -1);
  });

  it('never goes back, also when work is added', () => {
    const meter = meterOf(1, 1);
    meter.finished(0);
    const { fraction } = meter.snapshot();
    meter.extend(10);
    expect(meter.snapshot().fraction).toBe(fraction);
    meter.advanced(1, 0.9);
    meter.started(1);
    meter.advanced(1, 0.6);
    meter.advanced(1, 0.3);
    expect(meter.snapshot().bytesDone).toBe(160);
    expect(meter.snapshot().remainingSeconds).toBeUndefined();
  });

  it('is done when everything is finished, and ignores what it does not know', () => {
    const meter = meterOf(2, 3);
    meter.started(77);
    meter.finished(77);
    meter.finished(0);
    meter.finished(1);
    seconds = 1;
    expect(meter.snapshot()).toMatchObject({ fraction: 1, bytesDone: 500, remainingSeconds: 0, tensorsDone: 2 });
    expect(meterOf().snapshot().fraction).toBe(0);
  });
});
