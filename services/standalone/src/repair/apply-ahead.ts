import { randomBytes } from 'node:crypto';
import { createKeys } from '@lethe/keys/app.ts';
import { parseConfig as parseKeysConfig } from '@lethe/keys/config.ts';
import type { KeysSchema } from '@lethe/keys/store/schema.ts';
import { migrateToLatest } from '@lethe/platform/database/migrate.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { readRecordsAfter } from '@lethe/platform/event-log/sqlite-repair.ts';
import type { LoggedRecord } from '@lethe/platform/event-store/apply-parts.ts';
import { applyRecords } from '@lethe/platform/event-store/apply-records.ts';
import type { EventFamily } from '@lethe/platform/event-store/family.ts';
import type { EventStoreSchema } from '@lethe/platform/event-store/tables.ts';
import { createInProcessNetwork } from '@lethe/platform/grpc/in-process.ts';
import { registerService } from '@lethe/platform/grpc/register.ts';
import { eventIdFromBytes } from '@lethe/platform/ids/ids.ts';
import { createKeyClient } from '@lethe/platform/key-client/key-client.ts';
import type { KeyClient } from '@lethe/platform/key-client/port.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import type { Logger } from '@lethe/platform/log/logger.ts';
import { sequenceServiceHandlers } from '@lethe/platform/outbox/sequence-service.ts';
import { migrations as predictionsMigrations } from '@lethe/predictions/migrations/migrations.ts';
import { predictionFamily } from '@lethe/predictions/prediction-events.ts';
import { applyPrivacyRecords } from '@lethe/privacy/apply-records.ts';
import { migrations as privacyMigrations } from '@lethe/privacy/migrations/migrations.ts';
import type { PrivacySchema } from '@lethe/privacy/schema.ts';
import { SequenceServiceService } from '@lethe/proto/gen/lethe/log/v1/service.ts';
import { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { topics, type TopicName } from '@lethe/proto/topics.ts';
import { migrations as ticketsMigrations } from '@lethe/tickets/migrations/migrations.ts';
import { ticketFamily } from '@lethe/tickets/ticket-events.ts';
import { migrations as usageMigrations } from '@lethe/usage/migrations/migrations.ts';
import { usageFamily } from '@lethe/usage/usage-events.ts';
import type { Stores } from '../stores.ts';

/** Brings what a partition has above a sequence into its owner's tables; answers the sequences that cannot be read. */
export type ApplyAhead = (
  topic: TopicName,
  partition: number,
  after: bigint,
) => Promise<readonly bigint[]>;

export interface ApplyAheadPorts extends Pick<Stores, 'kms' | 'eventLog' | 'databases'> {
  readonly logFile: string;
  readonly logger: Logger;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface AheadApplier {
  readonly apply: ApplyAhead;
  stop(): Promise<void>;
}

const pageRecords = 200;

/** Starts `keys` when the first records are to be opened: it must have read what privacy.v1 brings before. */
export function createApplyAhead(ports: ApplyAheadPorts): AheadApplier {
  const { databases, logFile } = ports;
  const running: RunningKeys[] = [];
  const keysFor = async (owner: string): Promise<KeyClient> => {
    const known = running[0] ?? (await startKeys(ports));
    if (running.length === 0) running.push(known);
    return await known.clientOf(owner);
  };
  const fold = async <Command, State>(
    family: EventFamily<Command, State>,
    partition: number,
    after: bigint,
  ): Promise<readonly bigint[]> => {
    const db = databases.database<EventStoreSchema>(family.service);
    const foldPorts = { family, db, keys: await keysFor(family.service), randomBytes };
    const unreadable: bigint[] = [];
    for await (const page of pagesAfter(logFile, family.topic, partition, after)) {
      const applied = await whenCaughtUp(async () => await applyRecords(foldPorts, page));
      unreadable.push(...applied.unreadable.map(({ sequence }) => sequence));
    }
    return unreadable;
  };
  const apply: ApplyAhead = async (topic, partition, after) => {
    switch (topic) {
      case 'tickets.v1':
        await migrateToLatest(databases.database('tickets'), ticketsMigrations);
        return await fold(ticketFamily, partition, after);
      case 'predictions.v1':
        await migrateToLatest(databases.database('predictions'), predictionsMigrations);
        return await fold(predictionFamily, partition, after);
      case 'usage.v1':
        await migrateToLatest(databases.database('usage'), usageMigrations);
        return await fold(usageFamily, partition, after);
      case 'privacy.v1': {
        const db = databases.database<PrivacySchema>('privacy');
        await migrateToLatest(db, privacyMigrations);
        for (;;) {
          const page = readRecordsAfter(logFile, { topic, partition }, after, pageRecords);
          const last = page.at(-1);
          if (last === undefined) return [];
          const records = page.map(({ value, ...at }) => ({
            ...at,
            record: LogRecord.decode(value),
          }));
          await applyPrivacyRecords(db, records);
          after = last.sequence;
        }
      }
    }
  };
  return {
    apply,
    stop: async () => {
      for (const keys of running) await keys.stop();
    },
  };
}

async function* pagesAfter(
  logFile: string,
  topic: TopicName,
  partition: number,
  after: bigint,
): AsyncGenerator<readonly LoggedRecord[]> {
  for (let from = after; ;) {
    const page = readRecordsAfter(logFile, { topic, partition }, from, pageRecords);
    const last = page.at(-1);
    if (last === undefined) return;
    yield page.map(({ sequence, eventId, value }) => ({
      partition,
      sequence,
      recordId: eventIdFromBytes(eventId),
      record: LogRecord.decode(value),
      value,
    }));
    from = last.sequence;
  }
}

interface RunningKeys {
  clientOf(owner: string): Promise<KeyClient>;
  stop(): Promise<void>;
}

async function startKeys(ports: ApplyAheadPorts): Promise<RunningKeys> {
  const { databases, eventLog, kms, logger, env } = ports;
  const network = createInProcessNetwork();
  const service = createKeys(
    { ...parseKeysConfig(env), holdersEndWithProcess: true },
    {
      db: databases.database<KeysSchema>('keys'),
      eventLog,
      kms,
      peers: network.peersFor('keys'),
      clock: systemClock,
      randomBytes,
      logger,
    },
  );
  network.register('keys', service.internalApi);
  const privacyDb = databases.database<PrivacySchema>('privacy');
  const handlers = sequenceServiceHandlers(privacyDb, 'privacy.v1', systemClock);
  network.register('privacy', [registerService(SequenceServiceService, handlers)]);
  await service.start();
  const clients = new Map<string, KeyClient>();
  return {
    clientOf: async (owner) => {
      const known = clients.get(owner);
      if (known !== undefined) return known;
      const name = topics.find((topic) => topic.owner === owner)?.owner ?? 'tickets';
      const peer = network.peersFor(name)('keys');
      const client = createKeyClient({
        peer,
        holderId: `repair-${owner}`,
        clock: systemClock,
        logger,
      });
      clients.set(owner, client);
      await client.start();
      return client;
    },
    stop: async () => {
      for (const client of clients.values()) await client.stop();
      await service.stop();
    },
  };
}

const catchUpMs = 120_000;
const pauseMs = 100;

/** `keys` answers nothing before it has read privacy.v1 to its end. */
async function whenCaughtUp<Result>(call: () => Promise<Result>): Promise<Result> {
  for (let waitedMs = 0; ; waitedMs += pauseMs) {
    try {
      return await call();
    } catch (error) {
      const isEarly = error instanceof ServiceError && error.code === 'UNAVAILABLE';
      if (!isEarly || waitedMs >= catchUpMs) throw error;
      await systemClock.sleep(pauseMs);
    }
  }
}
