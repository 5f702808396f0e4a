import type { MetricDefinition } from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import type { Style } from '../output/style.ts';
import { wrapText } from '../output/wrap.ts';

const indent = 18;
const widthMax = 78;

/** The metrics with the names of their dimensions; then each dimension once, with its values. */
export function catalogueText(metrics: readonly MetricDefinition[], style: Style): string {
  const values = new Map<string, string>();
  for (const { dimensions } of metrics) {
    for (const dimension of dimensions) values.set(dimension.name, dimension.values.join(', '));
  }
  const listed = Array.from(values, ([name, texts]) => entry(style.cyan(name.padEnd(16)), texts));
  return [
    ...metrics.map((metric) => `${metricText(metric, style)}\n`),
    `${style.bold('Values')}  by dimension, for --by and --where\n`,
    ...listed,
  ].join('');
}

function metricText(metric: MetricDefinition, style: Style): string {
  const { requiredDimension: required } = metric;
  const rule = required === '' ? '' : `  (always group by or fix ${required})`;
  const head = `${style.bold(metric.id)} v${metric.version}  ${style.dim(metric.unit)}${rule}\n`;
  const names = metric.dimensions.map(({ name }) => name).join(', ');
  return `${head}  ${metric.description}\n${entry(style.dim('by'.padEnd(16)), names)}`;
}

/** A name of 16 columns and a text beside it. */
function entry(name: string, text: string): string {
  const [first = '', ...rest] = wrapText(text, widthMax);
  const lines = [`  ${name}${first}`, ...rest.map((line) => `${' '.repeat(indent)}${line}`)];
  return `${lines.join('\n')}\n`;
}
