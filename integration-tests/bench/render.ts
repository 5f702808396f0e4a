import { type Figure, type Machine, type Report, type Target, verdictOf } from './figure.ts';

/** A number with three significant digits, or whole above a thousand. */
export function shortNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 1_000) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}

export function targetText(target: Target | undefined, unit: string): string {
  if (target === undefined) return '–';
  const sign = target.sense === 'at most' ? '≤' : '≥';
  const bound = `${sign} ${shortNumber(target.limit)}`;
  return target.of === 'ratio' ? `ratio ${bound}` : `${bound} ${unit}`;
}

function cellsOf(figure: Figure): readonly string[] {
  const { name, what, unit, measured, baseline, baselineWhat, ratio, ratioQuartiles } = figure;
  const [low, high] = ratioQuartiles;
  return [
    name,
    what,
    targetText(figure.target, unit),
    `${shortNumber(measured)} ${unit}`,
    `${shortNumber(baseline)} ${unit}: ${baselineWhat}`,
    `${shortNumber(ratio)} (${shortNumber(low)}–${shortNumber(high)}, ${figure.pairs})`,
    verdictOf(figure),
  ];
}

const heading = [
  'figure',
  'what',
  'target',
  'measured',
  'baseline of the same run',
  'ratio (quartiles, pairs)',
  'verdict',
];

export function machineText(machine: Machine): string {
  const { cpuModel, cores, memoryGib, node, loadBefore, loadAfter, startedAt } = machine;
  const memory = `${shortNumber(memoryGib)} GiB`;
  const after = loadAfter === undefined ? '' : ` and ${loadAfter.toFixed(2)} after`;
  const load = `load ${loadBefore.toFixed(2)} before${after}`;
  const systems = Object.entries(machine.systems).map(([name, version]) => `${name} ${version}`);
  const where = systems.length === 0 ? 'embedded stores' : systems.join(', ');
  return `${cpuModel}, ${cores} cores, ${memory}, Node ${node}, ${load}, ${startedAt}. ${where}.`;
}

/** A verdict on a ratio that the next run may turn. */
function undecidedNote({ target, ratioQuartiles: [low, high] }: Figure): readonly string[] {
  if (target?.of !== 'ratio' || low > target.limit || high < target.limit) return [];
  return ['the limit lies between the quartiles: this run alone does not decide'];
}

/** A Markdown table, which is readable in a terminal too, and what to know about its lines below it. */
export function renderTable({ machine, remark, figures, failures, tookMs }: Report): string {
  const rows = [heading, ...figures.map(cellsOf)];
  const widths = heading.map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  const [head, ...body] = rows.map(line);
  const notes = figures.flatMap((figure) =>
    [...figure.notes, ...undecidedNote(figure)].map((note) => `- ${figure.name}: ${note}`),
  );
  const failed = failures.map(
    ({ names, reason }) => `- ${names.join(', ')}: NOT MEASURED: ${reason}`,
  );
  const said = remark === undefined ? [] : ['', remark];
  const text = [machineText(machine), ...said, '', head, rule, ...body, '', ...notes, ...failed];
  return `${text.join('\n')}\n\nThe run took ${shortNumber(tookMs / 1_000)} s.\n`;
}

/** One JSON object, each figure with its verdict. */
export function renderJson(report: Report): string {
  const figures = report.figures.map((figure) => ({ ...figure, verdict: verdictOf(figure) }));
  return `${JSON.stringify({ ...report, figures }, undefined, 2)}\n`;
}
