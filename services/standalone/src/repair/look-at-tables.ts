import { existsSync } from 'node:fs';
import type { ConsumerSchema } from '@lethe/platform/consumer/tables.ts';
import type { Databases } from '@lethe/platform/database/databases.ts';
import { readStoredSequences, recordKeysAt } from '@lethe/platform/event-log/sqlite-repair.ts';
import { readCounters, readErasedRuns } from '@lethe/platform/outbox/repair.ts';
import type { ServiceName } from '@lethe/proto/access.ts';
import { type TopicName, topics } from '@lethe/proto/topics.ts';
import { type Kysely, sql } from 'kysely';
import type { Mendable } from './finding.ts';
import { type Differences, differencesOf, isWithin } from './sequence-differences.ts';

/** A topic whose log and tables do not fit each other. */
export interface TopicDifferences {
  readonly topic: TopicName;
  readonly owner: ServiceName;
  readonly partitions: readonly Differences[];
}

/** How one topic is mended; answers what was done. */
export type MendTopic = (differences: TopicDifferences) => Promise<string>;

/** Compares every partition of the log with its owner's tables; privacy first, as keys must know every fence. */
export async function lookAtTables(
  logFile: string,
  databases: Databases,
  mendTopic: MendTopic,
): Promise<readonly Mendable[]> {
  const found: Mendable[] = [];
  const stored = existsSync(logFile) ? readStoredSequences(logFile) : [];
  const consumed = await consumedOffsets(databases);
  for (const { name: topic, owner } of privacyFirst()) {
    const db = databases.database<unknown>(owner);
    const counters = await readCounters(db, topic);
    const runs = counters.length === 0 ? new Map() : await readErasedRuns(db, topic);
    const waiting = counters.length === 0 ? new Set<string>() : await waitingTombstones(db, topic);
    const partitions = stored.flatMap((each) => {
      if (each.topic !== topic) return [];
      const { partition, present } = each;
      const counter = counters.find((known) => known.partition === partition);
      const consumedTo = consumed.get(`${topic}/${partition}`) ?? 0n;
      const erasedRuns = runs.get(partition) ?? [];
      // What a tombstone record is on its way to is erased in a moment.
      const isDoomed = (sequence: bigint) =>
        recordKeysAt(logFile, each, [sequence]).some((found) => waiting.has(hexOf(found)));
      const risen = present.filter((at) => isWithin(erasedRuns, at) && !isDoomed(at));
      return differencesOf(each, { counter, erasedRuns, consumedTo, risen }) ?? [];
    });
    if (partitions.length === 0) continue;
    const differences = { topic, owner, partitions };
    found.push({
      store: partitions.some(({ isAhead }) => isAhead) ? 'database' : 'event log',
      what: `${topic}: ${wordsOf(partitions)}`,
      action: actionOf(partitions),
      mend: async () => await mendTopic(differences),
    });
  }
  return found;
}

function hexOf(recordKey: Uint8Array): string {
  return Buffer.from(recordKey).toString('hex');
}

async function waitingTombstones(db: Kysely<unknown>, topic: string): Promise<ReadonlySet<string>> {
  const { rows } = await sql<{ event_id: Buffer }>`
    select event_id from outbox where topic = ${topic} and kind = 2`.execute(db);
  return new Set(rows.map((row) => hexOf(row.event_id)));
}

function privacyFirst() {
  return topics.toSorted((left, right) => rank(left.owner) - rank(right.owner));
}

function rank(owner: ServiceName): number {
  return owner === 'privacy' ? 0 : 1;
}

/** From where the consumer that is furthest goes on, by topic and partition. */
async function consumedOffsets(databases: Databases): Promise<ReadonlyMap<string, bigint>> {
  const furthest = new Map<string, bigint>();
  for (const service of ['tickets', 'predictions', 'usage', 'analytics', 'keys'] as const) {
    const db = databases.database<ConsumerSchema>(service);
    const { rows: tables } = await sql<{ present: boolean }>`
      select to_regclass('checkpoints') is not null as present`.execute(db);
    if (tables[0]?.present !== true) continue;
    for (const row of await db.selectFrom('checkpoints').selectAll().execute()) {
      const name = `${row.topic}/${row.partition}`;
      const known = furthest.get(name) ?? 0n;
      furthest.set(name, row.next_offset > known ? row.next_offset : known);
    }
  }
  return furthest;
}

function wordsOf(partitions: readonly Differences[]): string {
  const ahead = sum(partitions, ({ isAhead, lastOnLog, counter }) =>
    isAhead ? Number(lastOnLog - counter.lastSequence) : 0,
  );
  const lost = sum(partitions, (each) => each.lost.length);
  const unlisted = sum(partitions, (each) => each.unlisted.length);
  const risen = sum(partitions, (each) => each.risen.length);
  const overrun = partitions.filter((each) => each.overrun !== undefined).length;
  return [
    ahead === 0 ? [] : `${ahead} records on the log that the database does not know`,
    lost === 0 ? [] : `${lost} records that were published and are not on the log any more`,
    unlisted === 0 ? [] : `${unlisted} erased records that the database does not list`,
    risen === 0 ? [] : `${risen} erased records that are on the log again`,
    overrun === 0 ? [] : `${overrun} partitions that a consumer has read further than they go`,
  ]
    .flat()
    .join('; ');
}

function actionOf(partitions: readonly Differences[]): string {
  const actions = [
    partitions.some(({ isAhead }) => isAhead)
      ? 'bring the tables forward from the log; what cannot be opened any more is taken off it, so that it can be sent again'
      : [],
    partitions.some(({ lost }) => lost.length > 0)
      ? 'put back what the database still has, under the same sequences; list the rest as gone'
      : [],
    partitions.some(({ unlisted }) => unlisted.length > 0) ? 'list them' : [],
    partitions.some(({ risen }) => risen.length > 0) ? 'erase them again' : [],
    partitions.some(({ overrun }) => overrun !== undefined)
      ? 'let the log go on where the consumers do'
      : [],
  ];
  return actions.flat().join('; ');
}

function sum(
  partitions: readonly Differences[],
  count: (differences: Differences) => number,
): number {
  return partitions.reduce((total, each) => total + count(each), 0);
}
