import assert from 'node:assert/strict';
import { QueryMetricRequest } from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import { closedCode, dimensions } from './dimensions.ts';
import { families, layouts, measureIndex } from './families.ts';
import { columnsOf } from './fold.ts';
import { type MetricQuery, parseMetricQuery, type QueryViolation } from './metric-query.ts';
import { columnsOfMetric, findMetric, metrics, type Metric } from './metrics.ts';

function metric(id: string): Metric {
  const found = findMetric(id, 0);
  assert.ok(found);
  return found;
}

const nowMs = Date.UTC(2025, 5, 1, 12, 30);

function violationsOf(metricId: string, request: Partial<QueryMetricRequest>) {
  const parsed = parseMetricQuery(
    metric(metricId),
    { ...QueryMetricRequest.create(), ...request },
    nowMs,
  ) as readonly QueryViolation[];
  assert.ok(Array.isArray(parsed));
  return parsed.map(({ field }) => field);
}

function queryOf(metricId: string, request: Partial<QueryMetricRequest>) {
  const parsed = parseMetricQuery(
    metric(metricId),
    { ...QueryMetricRequest.create(), ...request },
    nowMs,
  );
  assert.ok('metric' in parsed);
  return parsed satisfies MetricQuery;
}

describe('metric catalogue', () => {
  it('names each metric and version once', () => {
    const names = metrics.map(({ id, version }) => `${id}@${version}`);
    assert.equal(new Set(names).size, names.length);
  });

  it('counts only what its families have', () => {
    for (const entry of metrics) {
      const { family } = layouts[entry.family];
      const columns = columnsOf(family);
      const { exact, late, accepted, sum } = columnsOfMetric(entry);
      for (const column of [exact, late, accepted, ...(sum === undefined ? [] : [sum])]) {
        assert.ok(columns.includes(column), `${entry.id}: ${column}`);
      }
      assert.ok(
        entry.dimensions.every((name) => family.dimensions.includes(name)),
        entry.id,
      );
      assert.equal(entry.kind === 'count', entry.sumMeasure === undefined);
    }
  });

  it('gives the newest version for 0 and nothing for an unknown one', () => {
    assert.equal(findMetric('created', 0)?.version, 1);
    assert.equal(findMetric('created', 7), undefined);
    assert.equal(findMetric('deleted', 0), undefined);
  });

  it('refuses a measure that a family lacks', () => {
    assert.throws(() => measureIndex(layouts.csat.family, 'nonsense'), RangeError);
  });
});

describe('dimensions', () => {
  it('are closed sets with "unknown" at 0 and lower-case names that differ', () => {
    for (const { name, values } of Object.values(dimensions)) {
      assert.equal(values[0], 'unknown', name);
      assert.equal(new Set(values).size, values.length, name);
      assert.ok(
        values.every((value) => /^[a-z0-9_]+$/.test(value)),
        name,
      );
      assert.equal(closedCode(dimensions[name], values.length), 0);
      assert.equal(closedCode(dimensions[name], values.length - 1), values.length - 1);
      assert.equal(closedCode(dimensions[name], -1), 0);
    }
  });

  it('are the only ones that families use, each once', () => {
    for (const family of families) {
      assert.equal(new Set(family.dimensions).size, family.dimensions.length);
    }
  });
});

describe('metric query', () => {
  it('takes names for codes and the whole past for a missing range', () => {
    const query = queryOf('status_changes', {
      grain: 2,
      dimensions: ['status', 'channel'],
      filters: [{ dimension: 'channel', values: ['email', 'web'] }],
    });
    assert.equal(query.grain, 'day');
    assert.equal(query.fromMs, undefined);
    assert.equal(query.toMs, Date.UTC(2025, 5, 1, 13));
    assert.deepEqual(query.groupBy, ['status', 'channel']);
    assert.deepEqual(query.filters, [{ dimension: 'channel', codes: [1, 2] }]);
  });

  it('names every broken field at once', () => {
    assert.deepEqual(
      violationsOf('created', {
        grain: 99 as 1,
        from: new Date(Date.UTC(2025, 4, 2, 0, 30)),
        to: new Date(Date.UTC(2025, 4, 1)),
        dimensions: ['channel', 'requester', 'channel'],
        filters: [
          { dimension: 'score', values: ['5'] },
          { dimension: 'priority', values: ['high', 'HIGH'] },
          { dimension: 'category', values: [] },
        ],
      }),
      [
        'grain',
        'from',
        'from',
        'dimensions[1]',
        'dimensions[2]',
        'filters[0].dimension',
        'filters[1].values[1]',
        'filters[2].values',
      ],
    );
  });

  it('refuses times that ClickHouse would wrap around', () => {
    assert.deepEqual(violationsOf('created', { from: new Date(-3_600_000) }), ['from']);
    assert.deepEqual(violationsOf('created', { to: new Date(Date.UTC(2107, 0, 1)) }), ['to']);
  });

  it('never adds unlike units', () => {
    assert.deepEqual(violationsOf('usage_quantity', {}), ['dimensions']);
    const two = { filters: [{ dimension: 'unit', values: ['minute', 'row'] }] };
    assert.deepEqual(violationsOf('usage_quantity', two), ['dimensions']);
    queryOf('usage_quantity', { filters: [{ dimension: 'unit', values: ['minute'] }] });
    queryOf('usage_quantity', { dimensions: ['unit'] });
  });

  it('repeats nothing that the caller wrote', () => {
    const parsed = parseMetricQuery(
      metric('created'),
      QueryMetricRequest.fromPartial({
        dimensions: ['ada@example.com'],
        filters: [{ dimension: 'channel', values: ['ada@example.com'] }],
      }),
      nowMs,
    );
    assert.ok(!JSON.stringify(parsed).includes('ada@example.com'));
  });
});
