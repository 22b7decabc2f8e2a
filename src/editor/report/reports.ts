/** Reports: what jobs left behind, kept in the extension's storage so that their pages survive a reload. */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { JobReport } from '../../engine/job/report';

const KEPT_REPORTS = 50;

export class Reports {
  readonly #names = new WeakMap<JobReport, Promise<string>>();

  constructor(private readonly folder: string) {}

  /** Its name, by which it is found again. The same report is stored once. */
  store(report: JobReport): Promise<string> {
    let name = this.#names.get(report);
    if (name === undefined) {
      name = this.#write(report);
      this.#names.set(report, name);
    }
    return name;
  }

  /** `undefined` where it is no longer kept. */
  async read(name: string): Promise<JobReport | undefined> {
    try {
      // Only a plain name in the folder is meant, whoever asks.
      return JSON.parse(await readFile(join(this.folder, basename(name)), 'utf8')) as JobReport;
    } catch {
      return undefined;
    }
  }

  async #write(report: JobReport): Promise<string> {
    await mkdir(this.folder, { recursive: true });
    const name = `${new Date().toISOString().replace(/\W/g, '')}.json`;
    await writeFile(join(this.folder, name), JSON.stringify(report));
    const stored = (await readdir(this.folder)).filter((entry) => entry.endsWith('.json')).sort();
    await Promise.all(stored.slice(0, -KEPT_REPORTS).map((entry) => rm(join(this.folder, entry), { force: true })));
    return name;
  }
}
