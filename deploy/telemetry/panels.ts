/** The parts of Grafana's dashboards that we use; schema version 39, Grafana 10 and newer. */
export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly object[];
  readonly [field: string]: unknown;
}

interface Panel {
  readonly title: string;
  readonly unit: string;
  readonly queries: readonly Query[];
}

/** An expression of PromQL, and how its series are named. */
export type Query = readonly [expr: string, legend: string];

export function panel(title: string, unit: string, queries: readonly Query[]): Panel {
  return { title, unit, queries };
}

/** Median and 99th percentile of a histogram, by labels. */
export function quantiles(
  buckets: string,
  labels: readonly string[],
  filter = '',
): readonly Query[] {
  const by = ['le', ...labels].join(', ');
  const name = labels.map((label) => ` {{${label}}}`).join('');
  return [0.5, 0.99].map((quantile) => [
    `histogram_quantile(${quantile}, sum by (${by}) (rate(${buckets}${filter}[5m])))`,
    `p${quantile * 100}${name}`,
  ]);
}

export function rateOf(series: string, labels: readonly string[], filter: string): string {
  return `sum by (${labels.join(', ')}) (rate(${series}${filter}[5m]))`;
}

/** A choice above the panels, which stands for `$<name>` in their expressions. */
export interface Choice {
  readonly name: string;
  readonly values: readonly string[];
}

const columns = 3;
const size = { w: 24 / columns, h: 8 };
const source = { type: 'prometheus', uid: '${source}' };

export function dashboard(
  uid: string,
  title: string,
  panels: readonly Panel[],
  choice?: Choice,
): Dashboard {
  return {
    uid,
    title,
    tags: ['lethe'],
    schemaVersion: 39,
    editable: false,
    refresh: '30s',
    time: { from: 'now-3h', to: 'now' },
    templating: {
      list: [
        { name: 'source', label: 'Prometheus', type: 'datasource', query: 'prometheus' },
        ...(choice === undefined ? [] : [choiceOf(choice)]),
      ],
    },
    panels: panels.map((each, index) => panelOf(each, index)),
  };
}

function choiceOf({ name, values }: Choice) {
  return {
    name,
    type: 'custom',
    query: values.join(','),
    includeAll: true,
    multi: true,
    allValue: '.*',
    current: { text: 'All', value: '$__all' },
  };
}

function panelOf({ title, unit, queries }: Panel, index: number) {
  return {
    id: index + 1,
    type: 'timeseries',
    title,
    datasource: source,
    gridPos: { ...size, x: (index % columns) * size.w, y: Math.floor(index / columns) * size.h },
    fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
    targets: queries.map(([expr, legendFormat], place) => ({
      refId: String.fromCodePoint(65 + place),
      datasource: source,
      expr,
      legendFormat,
    })),
  };
}
