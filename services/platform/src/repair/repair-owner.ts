import { topicNamed, type TopicName } from '@lethe/proto/topics.ts';
import { migrateToLatest, type Migrations } from '../database/migrate.ts';
import { ServiceError } from '../errors/service-error.ts';
import { applyRecords } from '../event-store/apply-records.ts';
import type { EventFamily } from '../event-store/family.ts';
import type { EventStoreSchema } from '../event-store/tables.ts';
import { tailGroupPrefixOf } from '../event-log/kafka-tail.ts';
import { createKeyClient } from '../key-client/key-client.ts';
import type { Clock, RandomBytes } from '../lifecycle/clock.ts';
import { repairTopic, waitAgain } from './mend-topic.ts';
import type { RepairFinding, RepairPorts, RepairWish } from './port.ts';

/** A group of its own in which an owner may read its own topic (kafka-acls.ts). */
export function repairGroupOf(topic: string, randomBytes: RandomBytes): string {
  return `${tailGroupPrefixOf(topic)}repair-${randomBytes(4).toString('hex')}`;
}

/**
 * Repairs the tables of tickets, predictions or usage from its log, by its own settings and with the running `keys`,
 * which must have read privacy.v1 to its end: an erased person stays erased.
 */
export async function repairOwner<Command, State>(
  family: EventFamily<Command, State>,
  migrations: Migrations,
  { database, eventLog, peers, clock, randomBytes, logger }: RepairPorts,
  wish: RepairWish,
): Promise<readonly RepairFinding[]> {
  const { topic, service } = family;
  const db = database<EventStoreSchema>();
  const holderId = `${service}-repair-${randomBytes(8).toString('hex')}`;
  const keys = createKeyClient({ peer: peers('keys'), holderId, clock, logger });
  let isStarted = false;
  try {
    return await repairTopic(
      {
        db,
        eventLog,
        topic,
        group: repairGroupOf(topic, randomBytes),
        isCompacted: topicNamed(topic as TopicName).cleanupPolicy === 'compact',
        migrate: async () => await migrateToLatest(db, migrations),
        apply: async (page) => {
          if (!isStarted) await keys.start();
          isStarted = true;
          const applying = async () => await applyRecords({ family, db, keys, randomBytes }, page);
          const { unreadable } = await whenKeysAnswer(applying, clock, wish.signal);
          return unreadable;
        },
        settled: waitAgain,
      },
      wish,
    );
  } finally {
    await keys.stop();
  }
}

const keysWithinMs = 120_000;
const pauseMs = 500;

/** `keys` answers nothing before it has read privacy.v1 to its end. */
async function whenKeysAnswer<Result>(
  call: () => Promise<Result>,
  clock: Clock,
  signal: AbortSignal,
): Promise<Result> {
  for (let waitedMs = 0; ; waitedMs += pauseMs) {
    try {
      return await call();
    } catch (error) {
      const isEarly = error instanceof ServiceError && error.code === 'UNAVAILABLE';
      if (!isEarly || waitedMs >= keysWithinMs) throw error;
      await clock.sleep(pauseMs, signal);
    }
  }
}
