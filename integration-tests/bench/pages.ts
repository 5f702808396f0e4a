import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from '../temporary-tree.ts';
import {
  type CapacityInputs,
  renderBounds,
  renderCosts,
  renderMeasured,
  renderRates,
  renderTables,
} from './capacity.ts';
import { type Figure, type Report, verdictOf } from './figure.ts';
import { measurements } from './measurements.ts';
import { machineText, renderTable, shortNumber, targetText } from './render.ts';
import type { StoredBytes } from './stored-bytes.ts';

/** On which stores a run was made. */
export const runKinds = ['embedded', 'real'] as const;
export type RunKind = (typeof runKinds)[number];

/** The kept runs; the tables of the pages are made of them. */
function fileOf(kind: RunKind): string {
  return join(repository, 'docs', 'bench', `${kind}.json`);
}

export function writeReport(kind: RunKind, report: Report): void {
  mkdirSync(join(repository, 'docs', 'bench'), { recursive: true });
  writeFileSync(fileOf(kind), `${JSON.stringify(report, undefined, 2)}\n`);
}

export function readReport(kind: RunKind): Report | undefined {
  const file = fileOf(kind);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Report) : undefined;
}

const bytesFile = join(repository, 'docs', 'bench', 'bytes.json');

export function writeBytes(bytes: StoredBytes): void {
  writeFileSync(bytesFile, `${JSON.stringify(bytes, undefined, 2)}\n`);
}

/** A part of the page on capacity, or what is missing for it. */
function capacity(render: (inputs: CapacityInputs) => string): () => string {
  return () => {
    const real = readReport('real');
    if (real === undefined || !existsSync(bytesFile)) return 'No run was kept.\n';
    const bytes = JSON.parse(readFileSync(bytesFile, 'utf8')) as StoredBytes;
    return render({ real, bytes });
  };
}

/** The pages that hold tables of the kept runs, each with its parts by their marks. */
export const benchPages: readonly {
  readonly file: string;
  readonly parts: Readonly<Record<string, () => string>>;
}[] = [
  { file: 'README.md', parts: { both: renderBoth } },
  {
    file: 'docs/bench.md',
    parts: { embedded: () => renderRun('embedded'), real: () => renderRun('real') },
  },
  {
    file: 'docs/operators/capacity.md',
    parts: {
      costs: capacity(renderCosts),
      tables: capacity(renderTables),
      rates: capacity(renderRates),
      bounds: capacity(renderBounds),
      measured: capacity(renderMeasured),
    },
  },
];

/** The page with its parts made anew: what stands between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`. */
export function renderPage(text: string, parts: Readonly<Record<string, () => string>>): string {
  return Object.entries(parts).reduce((page, [name, render]) => {
    const [begin, end] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`];
    const [from, to] = [page.indexOf(begin), page.indexOf(end)];
    if (from < 0 || to < from) throw new RangeError(`a page without ${begin} … ${end}`);
    return `${page.slice(0, from + begin.length)}\n${render()}${page.slice(to)}`;
  }, text);
}

export function writePages(): void {
  for (const { file, parts } of benchPages) {
    const path = join(repository, file);
    writeFileSync(path, renderPage(readFileSync(path, 'utf8'), parts));
  }
}

function renderRun(kind: RunKind): string {
  const report = readReport(kind);
  return report === undefined ? 'No run was kept.\n' : renderTable(report);
}

/** One line a figure, a column a kind of stores: what a reader wants first, and what falls short. */
function renderBoth(): string {
  const reports = runKinds.map((kind) => readReport(kind));
  const rows = measurements.flatMap(({ figures }) =>
    figures.flatMap((name) => rowOf(name, reports)),
  );
  const heading = '| figure | target | embedded stores | real systems |\n|---|---|---|---|\n';
  const runs = reports.flatMap((report, index) => {
    if (report === undefined) return [];
    const remark = report.remark === undefined ? '' : ` ${report.remark}`;
    return [`- ${runKinds[index]}: ${machineText(report.machine)}${remark}\n`];
  });
  return `${heading}${rows.join('')}\n${runs.join('')}`;
}

function rowOf(name: string, reports: readonly (Report | undefined)[]): readonly string[] {
  const found = reports.map((report) => report?.figures.find((each) => each.name === name));
  const first = found.find((figure) => figure !== undefined);
  if (first === undefined) return [];
  // What differs from run to run belongs to the run.
  const what = first.what.replace(/ \(\d[\d,]* events\/s\)| of \d+ erasures/, '');
  const target = targetText(first.target, first.unit);
  return [`| ${what} | ${target} | ${found.map(cellOf).join(' | ')} |\n`];
}

function cellOf(figure: Figure | undefined): string {
  if (figure === undefined) return '–';
  const isShort = verdictOf(figure) === 'falls short';
  const value = `${shortNumber(figure.measured)} ${figure.unit}`;
  const ratio = `${shortNumber(figure.ratio)} × ${shortNumber(figure.baseline)}`;
  return `${isShort ? `**${value}**, short` : value} (${ratio})`;
}
