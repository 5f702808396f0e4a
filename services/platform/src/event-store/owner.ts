import type { Kysely } from 'kysely';
import { ErasureParticipantServiceService } from '@lethe/proto/gen/lethe/erasure/v1/service.ts';
import { SequenceServiceService } from '@lethe/proto/gen/lethe/log/v1/service.ts';
import { type Consumer, createConsumer } from '../consumer/consumer.ts';
import type { ConsumerEffect } from '../consumer/port.ts';
import type { TopicName } from '@lethe/proto/topics.ts';
import { migrateToLatest, type Migrations } from '../database/migrate.ts';
import type { EventLog } from '../event-log/port.ts';
import type { Peers, ServiceRegistration } from '../grpc/handler.ts';
import { registerService } from '../grpc/register.ts';
import { createKeyClient } from '../key-client/key-client.ts';
import type { KeyClient } from '../key-client/port.ts';
import type { Clock, RandomBytes } from '../lifecycle/clock.ts';
import type { Service } from '../lifecycle/service.ts';
import type { Logger } from '../log/logger.ts';
import { createRelay } from '../outbox/relay.ts';
import { sequenceServiceHandlers } from '../outbox/sequence-service.ts';
import { createReceiptSender } from '../receipts/receipt-sender.ts';
import {
  createEventStore,
  type EventStore,
  type EventStoreOptions,
  type EventStorePorts,
} from './append.ts';
import { createObserver, type LeasedObservations, type Observer } from './observe.ts';
import { createErasureEffect } from './erasure-effect.ts';
import { createErasureJobs } from './erasure-job.ts';
import { previewErasure } from './erasure-preview.ts';
import { storeSequences } from './event-index.ts';
import type { EventFamily } from './family.ts';
import type { EventStoreSchema } from './tables.ts';

/** What an owner of an event topic runs on. */
export interface OwnerPorts {
  /** Of the owner's schema. */
  readonly db: Kysely<EventStoreSchema>;
  readonly eventLog: EventLog;
  readonly peers: Peers;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly logger: Logger;
}

/** The parts that the owner's RPCs use. */
export interface OwnerParts<Command> {
  readonly eventStore: EventStore<Command>;
  readonly keys: KeyClient;
}

export interface EventOwner<Command, State> {
  readonly family: EventFamily<Command, State>;
  readonly options: EventStoreOptions;
  readonly migrations: Migrations;
  /** The public RPCs. */
  readonly publicApi: (parts: OwnerParts<Command>) => readonly ServiceRegistration[];
  /** Topics of other owners, beside privacy.v1, and what is done with them. */
  readonly observes?: {
    readonly topics: readonly TopicName[];
    readonly effect: (
      parts: ObserverParts<Command>,
    ) => ConsumerEffect<EventStoreSchema, readonly LeasedObservations[]>;
  };
}

/** The parts that a consumer of other owners' topics uses. */
export interface ObserverParts<Command> {
  readonly keys: KeyClient;
  readonly observer: Observer<Command>;
}

/**
 * Composes the owner of an event topic: appends, relay, consumer of privacy.v1, erasure jobs, receipts, and what
 * other services may ask of it. tickets, predictions and usage differ in family and RPCs alone.
 */
export function createEventOwner<Command, State>(
  owner: EventOwner<Command, State>,
  ports: OwnerPorts,
): Service {
  const { db, eventLog, clock, randomBytes } = ports;
  const { family, options } = owner;
  const { topic } = family;
  const loops = createLoops(family, ports);
  const { keys, relay } = loops;
  const partitions = eventLog.partitionsOf(topic);
  const storePorts = { db, keys, clock, randomBytes, partitions, onEnqueued: () => relay.wake() };
  const eventStore = createEventStore(family, storePorts, options);
  const observing = createObserving(owner, storePorts, ports);
  return {
    publicApi: owner.publicApi({ eventStore, keys }),
    internalApi: [
      registerService(SequenceServiceService, sequenceServiceHandlers(db, topic, clock)),
      registerService(ErasureParticipantServiceService, {
        previewErasure: previewErasure({ family, db }),
      }),
    ],
    start: async () => {
      await migrateToLatest(db, owner.migrations);
      await loops.start();
      observing?.start();
    },
    stop: async () => {
      await observing?.stop();
      await loops.stop();
    },
    problem: () => loops.problem() ?? observing?.problem(),
  };
}

/** The consumer of other owners' events. It may lag; nobody waits for it. */
function createObserving<Command, State>(
  { family, options, observes }: EventOwner<Command, State>,
  storePorts: EventStorePorts,
  { db, eventLog, peers, clock, logger }: OwnerPorts,
): Consumer | undefined {
  if (observes === undefined) return undefined;
  const observer = createObserver(family, storePorts, options);
  const effect = observes.effect({ keys: storePorts.keys, observer });
  const name = `${family.service}-observing`;
  const { topics } = observes;
  return createConsumer({ name, db, eventLog, topics, peers, effect, clock, logger });
}

/** What runs beside the RPCs. */
function createLoops<Command, State>(family: EventFamily<Command, State>, ports: OwnerPorts) {
  const { db, eventLog, peers, clock, randomBytes, logger } = ports;
  const { service, topic } = family;
  const holderId = `${service}-${randomBytes(8).toString('hex')}`;
  const keys = createKeyClient({ peer: peers('keys'), holderId, clock, logger });
  const relay = createRelay({ db, eventLog, topic, clock, logger, onSequenced: storeSequences });
  const receipts = createReceiptSender({ db, peer: peers('privacy'), clock, logger });
  const jobs = createErasureJobs({
    family,
    db,
    analytics: peers('analytics'),
    clock,
    logger,
    onEnqueued: () => relay.wake(),
    onReceipt: () => receipts.wake(),
  });
  const effect = createErasureEffect({ service, clock, onJob: () => jobs.wake() });
  const topics = ['privacy.v1'] as const;
  const consumer = createConsumer({
    name: service,
    db,
    eventLog,
    topics,
    peers,
    effect,
    clock,
    logger,
  });
  return {
    keys,
    relay,
    start: async () => {
      await keys.start();
      consumer.start();
      // An owner that has not read every fence must not accept anything (design.md, 6.5).
      await consumer.caughtUp();
      await relay.start();
      jobs.start();
      receipts.start();
    },
    stop: async () => {
      await Promise.all([consumer.stop(), jobs.stop(), receipts.stop()]);
      await relay.stop();
      await keys.stop();
    },
    problem: () => consumer.problem() ?? relay.problem() ?? jobs.problem() ?? receipts.problem(),
  };
}
