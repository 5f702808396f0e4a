import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import type { NewTicketEvent } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { type Figure, figureOf, type Tell } from './figure.ts';
import { measureFreshness } from './freshness.ts';
import { type KafkaMaximum, openKafkaMaximum, recordBytes } from './kafka-maximum.ts';
import { arriveEvery } from './open-loop.ts';
import { combinePairs, type Pair, quantile, runPairs } from './pairs.ts';
import type { RealPlaces } from './real-places.ts';
import {
  eventsPerTicket,
  startSystemUnderLoad,
  type SystemUnderLoad,
  ticketsOfLoad,
} from './system-under-load.ts';

const tenantId = 'bench-append' as TenantId;
const ticketsPerCall = 4;
export const eventsPerCall = ticketsPerCall * eventsPerTicket;
const callersAtATime = 4;
const ratePairs = 3;
const rateForMs = 3_000;
const latencyPairs = 3;
const latencyForMs = 4_000;

/** Events per second, latency at half of it, and when they are visible. */
export async function measureAppend(
  names: ReadonlySet<string>,
  tell: Tell,
  real: RealPlaces | undefined,
): Promise<void> {
  const load = await startSystemUnderLoad('bench-append', real);
  const kafka = real && (await openKafkaMaximum(real));
  await load.registerTenant(tenantId);
  const write = createWriters(load);
  await closedLoop(write.events, 1_000);
  await load.drained();
  const { figures, eventsPerSecond } = await measureRates(load, write, kafka);
  const everyMs = (2 * 1_000 * eventsPerCall) / eventsPerSecond;
  figures.forEach(tell);
  if (names.has('append-p99')) tell(await measureLatency(load, write, everyMs));
  if (names.has('freshness')) tell(await measureFreshness(load, write.events, everyMs));
  await kafka?.close();
  await load.stop();
}

interface Writers {
  /** One call of the product. */
  readonly events: () => Promise<void>;
  /** One transaction that only stores as many bytes, in as many rows. */
  readonly bare: () => Promise<void>;
}

function createWriters(load: SystemUnderLoad): Writers {
  let calls = 0;
  const value = Buffer.alloc(recordBytes, 7);
  const values = Array.from({ length: eventsPerCall }, () => value);
  const nextEvents = (): readonly NewTicketEvent[] => {
    calls += 1;
    return ticketsOfLoad(`call-${calls}`, ticketsPerCall);
  };
  return {
    events: async () => await load.append(tenantId, nextEvents()),
    bare: async () => {
      await load.bare.transaction().execute(async (tx) => {
        await sql`insert into bare (value) select * from unnest(${values}::bytea[])`.execute(tx);
      });
    },
  };
}

/** Callers that send the next call as soon as the last was answered; answers the calls per second. */
async function closedLoop(call: () => Promise<void>, forMs: number): Promise<number> {
  const beganMs = performance.now();
  let calls = 0;
  const caller = async () => {
    while (performance.now() - beganMs < forMs) {
      await call();
      calls += 1;
    }
  };
  await Promise.all(Array.from({ length: callersAtATime }, caller));
  return (calls * 1_000) / (performance.now() - beganMs);
}

/** `kafka`: what its client can do alone is the baseline of the whole way; otherwise the bare inserts are. */
async function measureRates(
  load: SystemUnderLoad,
  write: Writers,
  kafka: KafkaMaximum | undefined,
) {
  const appended: Pair[] = [];
  const inLedger: Pair[] = [];
  const events = async () => {
    const beganMs = performance.now();
    const accepted = await closedLoop(write.events, rateForMs);
    const calls = (accepted * (performance.now() - beganMs)) / 1_000;
    await load.drained();
    const endToEnd = (calls * 1_000) / (performance.now() - beganMs);
    return { accepted: accepted * eventsPerCall, endToEnd: endToEnd * eventsPerCall };
  };
  for (let index = 0; index < ratePairs; index += 1) {
    const first = index % 2 === 0 ? await events() : undefined;
    const baseline = (await closedLoop(write.bare, 1_000)) * eventsPerCall;
    const wholeWay = kafka === undefined ? baseline : await roundTrip(kafka);
    const measured = first ?? (await events());
    appended.push({ measured: measured.accepted, baseline });
    inLedger.push({ measured: measured.endToEnd, baseline: wholeWay });
    await sql`truncate bare`.execute(load.bare);
  }
  const words = {
    unit: 'events/s',
    baselineWhat: `bare multi-row inserts of as many rows of ${recordBytes} bytes`,
    notes: [
      `calls of ${eventsPerCall} events of 1 KB, ${callersAtATime} at a time, relay and projection running in the same process; by the wall clock`,
    ],
  };
  const endToEnd = combinePairs(inLedger);
  const figures = [
    figureOf({ name: 'append', what: 'append, accepted', ...words }, combinePairs(appended)),
    figureOf(
      {
        name: 'end-to-end',
        what: 'append until all is in the ledger',
        ...words,
        ...(kafka === undefined
          ? {}
          : {
              baselineWhat: `kafkajs alone: records of ${recordBytes} bytes, acks=all, until read`,
            }),
      },
      endToEnd,
    ),
  ];
  return { figures, eventsPerSecond: endToEnd.measured };
}

const roundTripRecords = 6_000;

async function roundTrip(kafka: KafkaMaximum): Promise<number> {
  return (roundTripRecords * 1_000) / (await kafka.roundTrip(roundTripRecords));
}

async function measureLatency(
  load: SystemUnderLoad,
  write: Writers,
  everyMs: number,
): Promise<Figure> {
  let calls = 0;
  const p99Of = (call: () => Promise<void>) => async () => {
    const tookMs = await arriveEvery(everyMs, latencyForMs, call);
    calls += tookMs.length;
    await load.drained();
    await delay(200);
    return quantile(tookMs, 0.99);
  };
  const result = combinePairs(await runPairs(latencyPairs, p99Of(write.events), p99Of(write.bare)));
  await sql`truncate bare`.execute(load.bare);
  return figureOf(
    {
      name: 'append-p99',
      what: `append p99 at half load (${Math.round((eventsPerCall * 1_000) / everyMs)} events/s)`,
      unit: 'ms',
      baselineWhat: 'p99 of bare inserts at the same times',
      target: { sense: 'at most', limit: 25, of: 'measured' },
      notes: [
        `open loop: a call of ${eventsPerCall} events every ${everyMs.toFixed(1)} ms, counted from when it was due; half of the end-to-end rate above; ${calls} calls; the target was set for PostgreSQL`,
      ],
    },
    result,
  );
}
