import assert from 'node:assert/strict';
import {
  type ListMetricsResponse,
  QueryMetricRequest,
} from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import type { CallContext, Caller } from '@lethe/platform/grpc/handler.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { createHandClock } from '@lethe/platform/testing/hand-clock.ts';
import type { MetricQuery } from '../domain/metric-query.ts';
import { metrics } from '../domain/metrics.ts';
import type { LedgerRow } from '../ledger/ledger.ts';
import { getPlatformTotals } from './get-platform-totals.ts';
import { listMetrics } from './list-metrics.ts';
import { progress } from './progress.ts';
import { queryMetric } from './query-metric.ts';

const { signal } = new AbortController();
const acme: Caller = {
  kind: 'tenant',
  tenantId: 'acme' as TenantId,
  subject: 'reader',
  roles: ['reader'],
};
const as = (caller: Caller): CallContext => ({ caller, signal });

const row: LedgerRow = {
  bucketMs: Date.UTC(2025, 4, 1),
  codes: [1],
  exact: 5n,
  accepted: 4n,
  late: 1n,
  sum: 21n,
};

function setUp(rows: readonly LedgerRow[] = [row]) {
  const asked: { tenantId: TenantId; query: MetricQuery; rowsMax: number }[] = [];
  const marks: number[] = [1_000];
  const handler = queryMetric({
    ledger: {
      query: async (tenantId, query, rowsMax) => {
        asked.push({ tenantId, query, rowsMax });
        marks.push(2_000);
        return rows;
      },
    },
    clock: createHandClock(),
    completeUpToMs: () => marks.at(-1),
    countParked: async () => 3n,
    rowsMax: 77,
  });
  const query = async (request: Partial<QueryMetricRequest>, caller: Caller = acme) =>
    handler({ ...QueryMetricRequest.create(), ...request }, as(caller));
  return { asked, query };
}

describe('QueryMetric', () => {
  it('asks for the tenant of the token and for nobody else', async () => {
    const { asked, query } = setUp();
    await query({ metricId: 'created' });
    assert.equal(asked[0]?.tenantId, 'acme');
    assert.equal(asked[0].rowsMax, 77);
    const admin: Caller = { kind: 'platform', subject: 'root', roles: ['platform-admin'] };
    await assert.rejects(query({ metricId: 'created' }, admin), { reason: 'TENANT_REQUIRED' });
    const peer: Caller = { kind: 'service', service: 'tickets' };
    await assert.rejects(query({ metricId: 'created' }, peer), { reason: 'TENANT_REQUIRED' });
    assert.equal(asked.length, 1);
  });

  it('answers in names, with sums, late events and the mark from before it looked', async () => {
    const { query } = setUp([row, { ...row, codes: [2], late: 2n }]);
    const answer = await query({ metricId: 'csat', dimensions: ['channel'], grain: 2 });
    assert.deepEqual(answer, {
      rows: [
        {
          bucket: new Date(Date.UTC(2025, 4, 1)),
          dimensions: [{ dimension: 'channel', value: 'email' }],
          exact: 5n,
          accepted: 4n,
          exactSum: 21n,
        },
        {
          bucket: new Date(Date.UTC(2025, 4, 1)),
          dimensions: [{ dimension: 'channel', value: 'web' }],
          exact: 5n,
          accepted: 4n,
          exactSum: 21n,
        },
      ],
      completeUpTo: new Date(1_000),
      late: 3n,
      metricId: 'csat',
      metricVersion: 1,
      parked: 3n,
    });
  });

  it('begins a total where its range does', async () => {
    const { query } = setUp();
    const from = new Date(Date.UTC(2025, 0, 1));
    assert.deepEqual((await query({ metricId: 'created', from })).rows[0]?.bucket, from);
    assert.equal((await query({ metricId: 'created' })).rows[0]?.bucket, undefined);
  });

  it('tells unknown metrics from broken fields', async () => {
    const { asked, query } = setUp();
    await assert.rejects(query({ metricId: 'nonsense' }), { reason: 'METRIC_UNKNOWN' });
    await assert.rejects(query({ metricId: 'created', metricVersion: 9 }), {
      reason: 'METRIC_UNKNOWN',
    });
    await assert.rejects(query({ metricId: 'created', dimensions: ['nonsense'] }), {
      reason: 'INVALID_FIELDS',
      violations: [
        {
          field: 'dimensions[0]',
          description: 'must be a dimension of created: channel, priority, category',
        },
      ],
    });
    assert.equal(asked.length, 0);
  });

  it('refuses to wrap a sum around', async () => {
    const { query } = setUp([{ ...row, sum: 2n ** 63n }]);
    await assert.rejects(query({ metricId: 'created' }), { reason: 'INTERNAL_DEFECT' });
  });
});

describe('ListMetrics', () => {
  it('lists every metric with the values of its dimensions', async () => {
    const answer: ListMetricsResponse = await listMetrics()({}, as(acme));
    assert.equal(answer.metrics.length, metrics.length);
    const quantity = answer.metrics.find(({ id }) => id === 'usage_quantity');
    assert.equal(quantity?.requiredDimension, 'unit');
    const channel = answer.metrics[0]?.dimensions.find(({ name }) => name === 'channel');
    assert.deepEqual(channel?.values.slice(0, 3), ['unknown', 'email', 'web']);
  });
});

describe('GetPlatformTotals', () => {
  it('adds every metric over all tenants', async () => {
    const handler = getPlatformTotals({
      ledger: { total: async () => row },
      countTenants: async () => 12,
      completeUpToMs: () => undefined,
      countParked: async () => 4n,
    });
    const admin: Caller = { kind: 'platform', subject: 'root', roles: ['platform-admin'] };
    const answer = await handler({}, as(admin));
    assert.equal(answer.tenants, 12);
    assert.equal(answer.completeUpTo, undefined);
    assert.equal(answer.parked, 4n);
    assert.deepEqual(
      answer.totals.map(({ metricId }) => metricId),
      metrics.map(({ id }) => id),
    );
  });
});

describe('Progress', () => {
  it('answers for the topics that are counted, and refuses others', async () => {
    const handler = progress({
      topics: ['tickets.v1'],
      committedSequences: async () => [3n, 0n],
      // Newest first; the first was passed over after the checkpoints had been read.
      uncountedSequences: async () => [
        { partition: 0, sequence: 4n },
        { partition: 0, sequence: 3n },
        { partition: 0, sequence: 1n },
      ],
    });
    const peer = as({ kind: 'service', service: 'tickets' });
    assert.deepEqual(await handler({ topic: 'tickets.v1' }, peer), {
      partitions: [
        { partition: 0, sequence: 3n, uncounted: [1n, 3n] },
        { partition: 1, sequence: 0n, uncounted: [] },
      ],
      moreUncounted: false,
    });
    await assert.rejects(handler({ topic: 'privacy.v1' }, peer), { reason: 'INVALID_FIELDS' });
  });
});
