import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { claimsOf, type ContributionCounter, decide, isAccepted } from '../domain/accept.ts';
import type { CountedEvent } from '../domain/counted-event.ts';
import type { DimensionName } from '../domain/dimensions.ts';
import { layouts } from '../domain/families.ts';
import { fold } from '../domain/fold.ts';
import { encodeLedgerRows } from '../domain/ledger-rows.ts';
import type { MetricQuery } from '../domain/metric-query.ts';
import { findMetric, type Metric } from '../domain/metrics.ts';
import type { QueryGrain } from '../domain/time-buckets.ts';
import { eventArbitrary } from '../testing/arbitrary-events.ts';
import { freshDatabase, sharedClickHouse } from '../testing/shared-clickhouse.ts';
import { createLedger, type Ledger, type LedgerRow } from './ledger.ts';

const acme = 'acme' as TenantId;

function metric(id: string): Metric {
  const found = findMetric(id, 0);
  assert.ok(found);
  return found;
}

function startOf(grain: QueryGrain, timeMs: number): number {
  const date = new Date(timeMs);
  const day = Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate());
  switch (grain) {
    case 'hour':
      return day + date.getUTCHours() * 3_600_000;
    case 'day':
      return day;
    case 'week':
      return day - ((date.getUTCDay() + 6) % 7) * 86_400_000;
    case 'month':
      return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
    case 'total':
      return 0;
  }
}

interface Decided {
  readonly event: CountedEvent;
  readonly change: CountedEvent['changes'][number];
  readonly accepted: boolean;
}

/** What a query should answer, counted event by event. */
function naiveAnswer(
  decided: readonly Decided[],
  tenant: TenantId,
  query: MetricQuery,
): LedgerRow[] {
  const rows = new Map<string, { -readonly [Name in keyof LedgerRow]: LedgerRow[Name] }>();
  for (const { event, change, accepted } of decided) {
    const { family } = change.layout;
    const code = (name: DimensionName) =>
      change.codes[(family.dimensions as readonly string[]).indexOf(name)] ?? -1;
    const filters = [
      ...query.filters,
      ...(query.metric.only === undefined
        ? []
        : [{ dimension: query.metric.only.dimension, codes: [1] }]),
    ];
    const hourStartMs = startOf('hour', event.occurredAtMs);
    const isIn =
      event.tenantId === tenant &&
      family.name === query.metric.family &&
      hourStartMs >= (query.fromMs ?? 0) &&
      hourStartMs < query.toMs &&
      filters.every(({ dimension, codes }) => codes.includes(code(dimension)));
    const counted = change.adds.find(
      ({ measure }) => family.measures[measure]?.name === query.metric.measure,
    );
    const summed = change.adds.find(
      ({ measure }) => family.measures[measure]?.name === query.metric.sumMeasure,
    );
    if (!isIn) continue;
    const bucketMs = startOf(query.grain, event.occurredAtMs);
    const codes = query.groupBy.map(code);
    const name = [bucketMs, ...codes].join();
    const row = rows.get(name) ?? { bucketMs, codes, exact: 0n, accepted: 0n, late: 0n, sum: 0n };
    rows.set(name, row);
    row.exact += counted?.amount ?? 0n;
    if (accepted) row.accepted += counted?.amount ?? 0n;
    if (event.contributor === undefined) row.late += counted?.amount ?? 0n;
    row.sum += summed?.amount ?? 0n;
  }
  const order = ({ bucketMs, codes }: LedgerRow) => [bucketMs, ...codes];
  const counting = [...rows.values()].filter((row) => row.exact !== 0n);
  return counting.toSorted((left, right) => {
    const [a, b] = [order(left), order(right)];
    const place = a.findIndex((value, index) => value !== b[index]);
    return (a[place] ?? 0) - (b[place] ?? 0);
  });
}

describe('ledger', () => {
  const events = fc.sample(eventArbitrary, { seed: 7, numRuns: 4_000 });
  const decided: Decided[] = [];
  let ledger: Ledger;

  before(async function () {
    this.timeout(30_000);
    ledger = createLedger({
      client: sharedClickHouse(),
      database: freshDatabase('ledger'),
      statementsMax: 1,
    });
    await ledger.createTables();
    await ledger.createTables();
    const counters = new Map<string, ContributionCounter>();
    for (let at = 0; at < events.length; at += 500) {
      const chunk = events.slice(at, at + 500);
      const { decisions, changed } = decide(claimsOf(chunk), counters);
      for (const [counterKey, counter] of changed) counters.set(counterKey, counter);
      let claim = 0;
      for (const event of chunk) {
        for (const change of event.changes) {
          decided.push({ event, change, accepted: isAccepted(decisions, claim) });
          claim += change.layout.family.release.grains.length;
        }
      }
      for (const rows of encodeLedgerRows(fold(chunk, decisions), randomUUID())) {
        await ledger.insert(rows);
        // As after a process that died before it marked the manifest done.
        if (at % 1_000 === 0) await ledger.insert(rows);
      }
    }
  });

  const range = { fromMs: Date.UTC(2025, 0, 24, 5), toMs: Date.UTC(2025, 1, 20) };
  const queries: readonly Omit<MetricQuery, 'grain'>[] = [
    { metric: metric('created'), fromMs: undefined, toMs: range.toMs, groupBy: [], filters: [] },
    { metric: metric('solved'), ...range, groupBy: ['channel', 'category'], filters: [] },
    {
      metric: metric('status_changes'),
      ...range,
      groupBy: ['status', 'previous_status'],
      filters: [
        { dimension: 'channel', codes: [1, 2] },
        { dimension: 'previous_status', codes: [0, 2] },
      ],
    },
    { metric: metric('csat'), ...range, groupBy: ['score'], filters: [] },
    { metric: metric('features_used'), ...range, groupBy: ['feature'], filters: [] },
    { metric: metric('usage_quantity'), ...range, groupBy: ['unit'], filters: [] },
  ];
  for (const grain of ['hour', 'day', 'week', 'month', 'total'] as const) {
    it(`answers as a naive count does, by ${grain}`, async () => {
      for (const query of queries) {
        const answer = await ledger.query(acme, { ...query, grain }, 10_000);
        const expected = naiveAnswer(decided, acme, { ...query, grain });
        assert.deepEqual(answer, expected, query.metric.id);
        assert.ok(answer.some(({ exact }) => exact > 0n));
      }
    });
  }

  it('shows a tenant nothing of another', async () => {
    const query: MetricQuery = {
      metric: metric('created'),
      grain: 'total',
      fromMs: undefined,
      toMs: range.toMs,
      groupBy: [],
      filters: [],
    };
    assert.deepEqual(await ledger.query('nobody' as TenantId, query, 10), []);
    const [own] = await ledger.query(acme, query, 10);
    assert.ok((await ledger.total(query.metric)).exact > (own?.exact ?? 0n));
  });

  it('takes a value for a value, whatever it holds', async () => {
    const query: MetricQuery = {
      metric: metric('created'),
      grain: 'total',
      fromMs: undefined,
      toMs: range.toMs,
      groupBy: [],
      filters: [],
    };
    const injected = "acme' OR 1=1 -- \\" as TenantId;
    assert.deepEqual(await ledger.query(injected, query, 10), []);
  });

  it('refuses an answer that is too large instead of cutting it', async () => {
    const query: MetricQuery = {
      metric: metric('created'),
      grain: 'hour',
      fromMs: undefined,
      toMs: range.toMs,
      groupBy: [],
      filters: [],
    };
    const { length } = await ledger.query(acme, query, 10_000);
    assert.equal((await ledger.query(acme, query, length)).length, length);
    await assert.rejects(ledger.query(acme, query, length - 1), { reason: 'ANSWER_TOO_LARGE' });
  });

  it('adds sums beyond 64 bits of JSON numbers exactly', async () => {
    const big: CountedEvent = {
      tenantId: 'deep' as TenantId,
      occurredAtMs: range.fromMs,
      contributor: undefined,
      changes: [
        {
          layout: layouts.usage,
          codes: [1, 1, 1, 1],
          adds: [
            { measure: 0, amount: 1n },
            { measure: 1, amount: 2n ** 62n + 1n },
          ],
        },
      ],
    };
    const decisions = { bits: new Uint8Array(1), count: 2 };
    for (const rows of encodeLedgerRows(fold([big, big], decisions), randomUUID())) {
      await ledger.insert(rows);
    }
    const query: MetricQuery = {
      metric: metric('usage_quantity'),
      grain: 'total',
      ...range,
      groupBy: ['unit'],
      filters: [],
    };
    const [row] = await ledger.query('deep' as TenantId, query, 10);
    assert.equal(row?.sum, 2n ** 63n + 2n);
  });

  it('says that the store failed when it did, with its own name for it', async () => {
    const nowhere = createLedger({
      client: sharedClickHouse(),
      database: freshDatabase('nowhere'),
      statementsMax: 1,
    });
    await assert.rejects(nowhere.total(metric('created')), {
      code: 'INTERNAL',
      message: /UNKNOWN_DATABASE|UNKNOWN_TABLE/,
    });
  });
});
