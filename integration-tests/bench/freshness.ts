import { setTimeout as delay } from 'node:timers/promises';
import { freshDatabase } from '@lethe/analytics/testing/shared-clickhouse.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import {
  AnalyticsServiceService,
  Grain,
  QueryMetricRequest,
} from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import { type Figure, figureOf } from './figure.ts';
import { arriveEvery } from './open-loop.ts';
import { combinePairs, type Pair, quantile } from './pairs.ts';
import { type SystemUnderLoad, ticketsOfLoad } from './system-under-load.ts';

const tenantId = 'bench-freshness' as TenantId;
const forMs = 15_000;
const lookEveryMs = 25;

/** How long after its append was answered a ticket is counted in what the tenant asks for, at half load. */
export async function measureFreshness(
  load: SystemUnderLoad,
  append: () => Promise<void>,
  everyMs: number,
): Promise<Figure> {
  await load.registerTenant(tenantId);
  const bareInsert = await openBareLedger(load);
  const background = arriveEvery(everyMs, forMs, append);
  const untilMs = performance.now() + forMs - 2_000;
  const seen: Pair[] = [];
  while (performance.now() < untilMs) {
    const baseline = await bareInsert();
    seen.push({ measured: await visibleAfterMs(load, seen.length + 1), baseline });
  }
  await background;
  await load.drained();
  const visibleMs = seen.map(({ measured }) => measured);
  const result = combinePairs(seen);
  return figureOf(
    {
      name: 'freshness',
      what: 'event visible in the ledger, p99, at half load',
      unit: 'ms',
      baselineWhat: 'insert of a row into the bare engine and reading it back, p99',
      target: { sense: 'at most', limit: 2_000, of: 'measured' },
      notes: [
        `${seen.length} tickets one after another, from the answer of their append to a QueryMetric that counts them; p50 ${quantile(visibleMs, 0.5).toFixed(0)} ms; looked every ${lookEveryMs} ms; a chunk waits up to 200 ms to fill`,
      ],
    },
    {
      ...result,
      measured: quantile(visibleMs, 0.99),
      baseline: quantile(
        seen.map(({ baseline }) => baseline),
        0.99,
      ),
    },
  );
}

async function visibleAfterMs(load: SystemUnderLoad, tickets: number): Promise<number> {
  await load.append(tenantId, ticketsOfLoad(`fresh-${tickets}`, 1).slice(0, 1));
  const beganMs = performance.now();
  const request = QueryMetricRequest.fromPartial({ metricId: 'created', grain: Grain.GRAIN_TOTAL });
  const { queryMetric } = AnalyticsServiceService;
  for (;;) {
    const { rows } = await load.system.call('analytics', queryMetric, request, tenantId);
    const counted = rows.reduce((sum, { exact }) => sum + exact, 0n);
    if (counted >= BigInt(tickets)) return performance.now() - beganMs;
    await delay(lookEveryMs);
  }
}

/** A table of its own in the same engine; the answered function takes one turn and says how long it took. */
async function openBareLedger({
  clickHouse: client,
}: SystemUnderLoad): Promise<() => Promise<number>> {
  const database = freshDatabase('bench-bare');
  await client.command({ query: `CREATE DATABASE ${database}` });
  const table = `${database}.bare`;
  await client.command({
    query: `CREATE TABLE ${table} (place UInt64) ENGINE = MergeTree ORDER BY place`,
  });
  let place = 0;
  return async () => {
    place += 1;
    const beganMs = performance.now();
    await client.command({ query: `INSERT INTO ${table} VALUES (${place})` });
    const query = `SELECT count() FROM ${table} WHERE place = ${place}`;
    const found = await client.query({ query, format: 'JSONEachRow' });
    await found.json();
    return performance.now() - beganMs;
  };
}
