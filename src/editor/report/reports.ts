/** Reports: what jobs left behind, kept in the extension's storage: their pages survive a reload, and an old one is found again. */
import { mkdir, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Observable, type ReadonlyObservable } from '../../base/observable';
import type { JobReport } from '../../engine/job/report';
import { parseReportEntry, reportEntryText, type ReportEntry } from './reportEntry';

const KEPT_REPORTS = 50;

/** The line of an entry has two paths in it and little else. */
const ENTRY_BYTES = 65_536;

/** A stored report has two lines: what a list shows of it, and the report, which may have megabytes. */
export class Reports {
  readonly #names = new WeakMap<JobReport, Promise<string>>();
  readonly #entries = new Map<string, ReportEntry>();
  readonly #stored = new Observable(0);
  #latest = 0;

  constructor(private readonly folder: string) {}

  /** Changes with every report that is stored. */
  get stored(): ReadonlyObservable<number> {
    return this.#stored;
  }

  /** Its name, by which it is found again. The same report is stored once. */
  store(report: JobReport): Promise<string> {
    let name = this.#names.get(report);
    if (name === undefined) {
      name = this.#write(report);
      this.#names.set(report, name);
      // Where the disk was full, it may have room later.
      name.catch(() => this.#names.delete(report));
    }
    return name;
  }

  /** `undefined` where it is no longer kept. */
  async read(name: string): Promise<JobReport | undefined> {
    try {
      // Only a plain name in the folder is meant, whoever asks.
      const text = await readFile(join(this.folder, basename(name)), 'utf8');
      return JSON.parse(text.slice(text.indexOf('\n') + 1)) as JobReport;
    } catch {
      return undefined;
    }
  }

  /** Those that are kept, newest first. */
  async list(): Promise<readonly ReportEntry[]> {
    const entries = await Promise.all((await this.#files()).map((name) => this.#entry(name)));
    return entries.filter((entry) => entry !== undefined).reverse();
  }

  async #entry(name: string): Promise<ReportEntry | undefined> {
    const known = this.#entries.get(name) ?? parseReportEntry(name, await firstLine(join(this.folder, name)));
    if (known !== undefined) this.#entries.set(name, known);
    return known;
  }

  async #write(report: JobReport): Promise<string> {
    await mkdir(this.folder, { recursive: true });
    // Two that end at once are two.
    this.#latest = Math.max(Date.now(), this.#latest + 1);
    const now = new Date(this.#latest).toISOString();
    const name = `${now.replace(/\W/g, '')}.json`;
    await writeFile(join(this.folder, name), `${reportEntryText(report, now)}\n${JSON.stringify(report)}`);
    const files = await this.#files();
    await Promise.all(files.slice(0, -KEPT_REPORTS).map((file) => rm(join(this.folder, file), { force: true })));
    this.#stored.value += 1;
    return name;
  }

  /** Named by the time, so that the newest is the last. */
  async #files(): Promise<readonly string[]> {
    const files = await readdir(this.folder).catch(() => []);
    return files.filter((file) => file.endsWith('.json')).sort();
  }
}

/** Empty where there is none within what a line may have. */
async function firstLine(path: string): Promise<string> {
  try {
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(ENTRY_BYTES), 0, ENTRY_BYTES, 0);
    const end = buffer.subarray(0, bytesRead).indexOf('\n');
    return end < 0 ? '' : buffer.toString('utf8', 0, end);
  } catch {
    return '';
  }
}
