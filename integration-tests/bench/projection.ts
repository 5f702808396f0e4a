import { setTimeout as delay } from 'node:timers/promises';
import { createDecipheriv, createSecretKey, randomBytes } from 'node:crypto';
import { openProjection, type Projection } from '@lethe/analytics/projection/projection.ts';
import {
  createProjectionWorld,
  type ProjectionStores,
  type ProjectionWorld,
} from '@lethe/analytics/testing/projection-world.ts';
import { sampleEvent } from '@lethe/analytics/testing/sample-events.ts';
import { sealRecord, testSecret } from '@lethe/analytics/testing/sealed-records.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { newUuid } from '@lethe/platform/ids/new-id.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { wrapLog } from '@lethe/platform/testing/wrapped-log.ts';
import { Record as LogRecord, ScopeKind } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { topics } from '@lethe/proto/topics.ts';
import { cpuUs, cpuUsOf, threadUs } from './cpu-time.ts';
import { figureOf, type Tell } from './figure.ts';
import { combinePairs, type Pair, quantile } from './pairs.ts';
import { type PhaseCosts, pureCosts } from './projection-phases.ts';
import {
  openRealClickHouse,
  openRealDatabases,
  openRealLog,
  type RealPlaces,
} from './real-places.ts';

const tenants = 8;
const persons = 500;
const chunkRecords = 2_000;
const portionRecords = 4_000;
const portions = 7;
/** As deployed. */
const chunkFillMs = 200;
const drainForMs = 180_000;
/** On a busy machine fewer portions fit. */
const portionsForMs = 22_000;
const topic = 'tickets.v1';

/** Events per second of CPU through the projection, against decoding and opening the same records barely. */
export async function measureProjection(
  _names: ReadonlySet<string>,
  tell: Tell,
  real: RealPlaces | undefined,
): Promise<void> {
  const world = await createProjectionWorld('bench-projection', await storesOf(real));
  const meter = createMeter();
  const projection = await openMetered(world, meter, real === undefined ? 0 : chunkFillMs);
  const pairs: Pair[] = [];
  const replayed: PhaseCosts[] = [];
  // The first portion warms up.
  let totalUs = 0;
  const beganMs = performance.now();
  for (let portion = 0; portion < portions; portion += 1) {
    if (pairs.length > 0 && performance.now() - beganMs > portionsForMs) break;
    const records = Array.from({ length: portionRecords }, (_, index) => newRecord(world, index));
    await world.append(topic, 0, records);
    if (portion === 1) meter.reset();
    const bareFirst = portion % 2 === 0 ? bareUs(records) : undefined;
    const measuredUs = await cpuUsOf(async () => await drain(projection));
    // What follows is the benchmark's own work and belongs to no phase.
    meter.enter(undefined);
    if (portion > 0) totalUs += measuredUs;
    const baselineUs = bareFirst ?? bareUs(records);
    if (portion === 0) continue;
    pairs.push({ measured: perSecond(measuredUs), baseline: perSecond(baselineUs) });
    replayed.push(await pureCosts(world.keys.keyClient, records, chunkRecords));
  }
  const counted = portionRecords * pairs.length;
  tell(
    figureOf(
      {
        name: 'projection',
        what: 'projection of encrypted events of up to 1 KB, per core',
        unit: 'events/s',
        baselineWhat: 'only decoding them and opening their facts with node:crypto',
        target: { sense: 'at least', limit: 25_000, of: 'measured' },
        notes: [
          `per second of CPU of the whole process, ${real === undefined ? "chdb's and SQLite's threads included" : 'without that of the servers'}; ${counted} events in chunks of ${chunkRecords}, ${tenants} tenants, ${persons} contributors, the last two hours`,
          breakdown(meter, replayed, counted, totalUs / counted, real === undefined),
        ],
      },
      combinePairs(pairs),
    ),
  );
  await projection.close();
  await world.destroy();
}

async function storesOf(real: RealPlaces | undefined): Promise<ProjectionStores> {
  if (real === undefined) return {};
  return {
    db: openRealDatabases(real).database('bench_projection'),
    log: await openRealLog(real, topics),
    clickHouse: openRealClickHouse(real),
  };
}

function newRecord(world: ProjectionWorld, index: number): LogRecord {
  const contributor = (index % persons).toString(16).padStart(16, '0');
  return sealRecord(world.keys, {
    ...sampleEvent(index),
    tenantId: tenantOf(index),
    occurredAtMs: Date.now() - (index % 120) * 60_000,
    contributor,
  });
}

function tenantOf(index: number): TenantId {
  return `bench-${index % tenants}` as TenantId;
}

const perSecond = (us: number) => (portionRecords * 1e6) / us;

/** CPU microseconds for the least that reading these events takes: protobuf, and AES-256-GCM without binding. */
function bareUs(records: readonly LogRecord[]): number {
  const values = records.map((record) => LogRecord.encode(record).finish());
  const secrets = new Map(
    Array.from({ length: tenants }, (_, index) => {
      const tenantId = tenantOf(index);
      return [tenantId as string, createSecretKey(testSecret(tenantId, 'facts'))] as const;
    }),
  );
  const before = cpuUs();
  for (const value of values) {
    const { header, parts } = LogRecord.decode(value);
    const facts = parts.find(({ scopeKind }) => scopeKind === ScopeKind.SCOPE_KIND_FACTS);
    const secret = secrets.get(header?.tenantId ?? '');
    if (facts === undefined || secret === undefined) throw new Error('a record without facts');
    const { box } = facts;
    // Without the associated data the tag cannot fit, so it is set and not asked for.
    const decipher = createDecipheriv('aes-256-gcm', secret, box.subarray(17, 29), {
      authTagLength: 16,
    });
    decipher.setAuthTag(box.subarray(-16));
    decipher.update(box.subarray(29, -16));
  }
  return cpuUs() - before;
}

async function drain(projection: Projection): Promise<void> {
  const { signal } = new AbortController();
  let records = 0;
  const untilMs = performance.now() + drainForMs;
  while (records < portionRecords && performance.now() < untilMs) {
    const committed = await projection.round(signal);
    records += committed;
    // A log on a server has nothing yet: asking it without a pause would be counted.
    if (committed === 0) await delay(2);
  }
  if (records !== portionRecords) throw new Error(`${records} of ${portionRecords} were projected`);
}

/** CPU of the main thread per phase of the rounds, told apart by the moments at which the projection uses its ports. */
interface Meter {
  readonly us: Record<'read' | 'decode' | 'open' | 'commit' | 'insert' | 'done', number>;
  /** Ends the running phase and begins the next one. */
  enter(phase: keyof Meter['us'] | undefined): void;
  reset(): void;
}

function createMeter(): Meter {
  const us = { read: 0, decode: 0, open: 0, commit: 0, insert: 0, done: 0 };
  let running: keyof Meter['us'] | undefined;
  let beganUs = 0;
  return {
    us,
    enter: (phase) => {
      const nowUs = threadUs();
      if (running !== undefined) us[running] += nowUs - beganUs;
      running = phase;
      beganUs = nowUs;
    },
    reset: () => Object.assign(us, { read: 0, decode: 0, open: 0, commit: 0, insert: 0, done: 0 }),
  };
}

async function openMetered(
  world: ProjectionWorld,
  meter: Meter,
  fillMs: number,
): Promise<Projection> {
  const { log, ledger, keys } = world;
  return await openProjection({
    db: world.db,
    eventLog: wrapLog(log, async (poll, options) => {
      meter.enter('read');
      const batches = await poll(options);
      meter.enter('decode');
      return batches;
    }),
    ledger: {
      insert: async (rows) => {
        meter.enter('insert');
        await ledger.insert(rows);
        meter.enter('done');
      },
    },
    keyClient: {
      leaseForOpen: async (tenantId, requests) => {
        meter.enter('open');
        return await keys.keyClient.leaseForOpen(tenantId, requests);
      },
    },
    peers: world.peers,
    clock: systemClock,
    logger: createLogger({ service: 'bench', level: 'silent' }),
    createManifestId: () => {
      meter.enter('commit');
      return newUuid(systemClock, randomBytes);
    },
    topics: [topic],
    // A log on a server answers a part at a time.
    chunk: { recordsMax: chunkRecords, fillMs, idleMs: 0 },
  });
}

function breakdown(
  { us }: Meter,
  replayed: readonly PhaseCosts[],
  counted: number,
  total: number,
  isEmbedded: boolean,
): string {
  const [log, database, ledger] = isEmbedded
    ? ['SQLite', 'PGlite', 'chdb']
    : ['Kafka', 'PostgreSQL', 'ClickHouse over HTTP'];
  const each = (phase: keyof Meter['us']) => us[phase] / counted;
  const pure = (phase: keyof PhaseCosts) =>
    quantile(
      replayed.map((costs) => costs[phase]),
      0.5,
    );
  const accept = pure('claims') + pure('decide');
  const foldUs = pure('fold') + pure('encode');
  const parts = [
    [`read from ${log}`, each('read')],
    ['decode', each('decode')],
    ['lease + open + count', each('open') - pure('claims')],
    ['accept (claims, decide)', accept],
    ['fold + encode rows', foldUs],
    [`commit (SQL on ${database})`, Math.max(0, each('commit') - pure('decide') - foldUs)],
    [`insert (${ledger})`, each('insert')],
    ['mark done', each('done')],
  ] as const;
  const onMain = parts.reduce((sum, [, cost]) => sum + cost, 0);
  const all = [...parts, ['all other threads', Math.max(0, total - onMain)] as const];
  const shares = all.map(
    ([name, cost]) => `${name} ${cost.toFixed(1)} (${((cost / total) * 100).toFixed(0)} %)`,
  );
  return `µs CPU of the main thread per event, by when the projection uses its ports; accept and fold by replaying the same events: ${shares.join(', ')}`;
}
