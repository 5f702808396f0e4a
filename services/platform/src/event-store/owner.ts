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
import { observeProblems } from '../lifecycle/observe-service.ts';
import type { Logger } from '../log/logger.ts';
import { createLateTicks, oweLateTicks } from '../outbox/late-ticks.ts';
import { observeOutbox } from '../outbox/observe-outbox.ts';
import { createRelay } from '../outbox/relay.ts';
import { sequenceServiceHandlers } from '../outbox/sequence-service.ts';
import { observeParking } from '../parking/observe-parking.ts';
import type { ParkingOptions } from '../parking/park.ts';
import type { ReplayPorts } from '../parking/replay.ts';
import { countErased, dropErased } from '../parking/store.ts';
import { createOwnerRebuildRpc } from '../rebuild/owner-rebuild-rpc.ts';
import type { RebuildRpc } from '../rebuild/rebuild-handler.ts';
import { createRebuildLeftovers } from '../rebuild/leftovers.ts';
import type { RebuildRules } from '../rebuild/rules.ts';
import { createReceiptSender } from '../receipts/receipt-sender.ts';
import {
  createEventStore,
  type EventStore,
  type EventStoreOptions,
  type EventStorePorts,
} from './append.ts';
import { createObserver, type LeasedObservations, type Observer } from './observe.ts';
import { createErasureEffect } from './erasure-effect.ts';
import { createErasureJobs, type ErasureJobPorts } from './erasure-job.ts';
import { type PreviewPorts, previewErasure } from './erasure-preview.ts';
import { storeSequences } from './event-index.ts';
import type { EventFamily } from './family.ts';
import { noTelemetry, type Telemetry } from '../telemetry/port.ts';
import { recordTraceContext } from '../telemetry/record-trace.ts';
import type { EventStoreSchema } from './tables.ts';
import { tracedEventStore } from './traced-event-store.ts';

/** What an owner of an event topic runs on. */
export interface OwnerPorts {
  /** Of the owner's schema. */
  readonly db: Kysely<EventStoreSchema>;
  readonly eventLog: EventLog;
  readonly peers: Peers;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly logger: Logger;
  /** Default: none. */
  readonly telemetry?: Telemetry;
}

/** The parts that the owner's RPCs use. */
export interface OwnerParts<Command> {
  readonly eventStore: EventStore<Command>;
  readonly keys: KeyClient;
  /** Rebuilds the owner's tables from its log. */
  readonly rebuild: RebuildRpc['handler'];
}

export interface EventOwner<Command, State> {
  readonly family: EventFamily<Command, State>;
  readonly options: EventStoreOptions;
  readonly migrations: Migrations;
  /** How states follow from records; undefined for streams without state. */
  readonly rebuildRules: RebuildRules<State> | undefined;
  /** The public RPCs. */
  readonly publicApi: (parts: OwnerParts<Command>) => readonly ServiceRegistration[];
  /** Topics of other owners, beside privacy.v1, and what is done with them. */
  readonly observes?: {
    readonly topics: readonly TopicName[];
    readonly effect: (
      parts: ObserverParts<Command>,
    ) => ConsumerEffect<EventStoreSchema, readonly LeasedObservations[]>;
    /** Poison of these topics is parked; the schema has `createParkingTables`. What it gives is served publicly. */
    readonly parks?: {
      readonly streamKindOf: ParkingOptions['streamKindOf'];
      readonly publicApi: (
        ports: ReplayPorts<EventStoreSchema, readonly LeasedObservations[]>,
      ) => ServiceRegistration;
    };
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
  const loops = createLoops(owner, ports);
  const { keys, relay } = loops;
  const partitions = eventLog.partitionsOf(topic);
  const telemetry = ports.telemetry ?? noTelemetry;
  const traceContext = recordTraceContext(telemetry);
  const storePorts: EventStorePorts = {
    db,
    keys,
    clock,
    randomBytes,
    partitions,
    onEnqueued: () => relay.wake(),
    ...(traceContext === undefined ? {} : { traceContext }),
  };
  const appending = createEventStore(family, storePorts, options);
  const eventStore = tracedEventStore(appending, topic, { telemetry, clock });
  const observing = createObserving(owner, storePorts, ports);
  observeOutbox({ db, topic, telemetry, clock, compactionLagMs: eventLog.compactionLagMs });
  observeProblems(telemetry, {
    ...loops.problems,
    ...(observing === undefined ? {} : { observing: () => observing.consumer.problem() }),
  });
  const rules = owner.rebuildRules;
  const rebuild = createOwnerRebuildRpc({ ...ports, keys, family, rules });
  const leftovers = createRebuildLeftovers(ports);
  return {
    publicApi: [
      ...owner.publicApi({ eventStore, keys, rebuild: rebuild.handler }),
      ...(observing?.publicApi ?? []),
    ],
    internalApi: [
      registerService(SequenceServiceService, sequenceServiceHandlers(db, topic, clock)),
      registerService(ErasureParticipantServiceService, {
        previewErasure: previewErasure({ family, db, ...parkedByErasure(owner, db) }),
      }),
    ],
    start: async () => {
      await migrateToLatest(db, owner.migrations);
      leftovers.start();
      await loops.start();
      observing?.consumer.start();
    },
    stop: async () => {
      await Promise.all([rebuild.stop(), leftovers.stop()]);
      await observing?.consumer.stop();
      await loops.stop();
    },
    problem: () => loops.problem() ?? observing?.consumer.problem(),
  };
}

interface Observing {
  readonly consumer: Consumer;
  readonly publicApi: readonly ServiceRegistration[];
}

/** The consumer of other owners' events, and what may be asked about its parked ones. It may lag; nobody waits for it. */
function createObserving<Command, State>(
  { family, options, observes }: EventOwner<Command, State>,
  storePorts: EventStorePorts,
  { db, eventLog, peers, clock, logger, telemetry = noTelemetry }: OwnerPorts,
): Observing | undefined {
  if (observes === undefined) return undefined;
  const observer = createObserver(family, storePorts, options);
  const effect = observes.effect({ keys: storePorts.keys, observer });
  const name = `${family.service}-observing`;
  const { topics, parks } = observes;
  const consuming = { name, db, eventLog, topics, peers, effect, clock, logger, telemetry };
  if (parks === undefined) return { consumer: createConsumer(consuming), publicApi: [] };
  observeParking(telemetry, db, topics);
  const parking = { service: family.service, streamKindOf: parks.streamKindOf };
  return {
    consumer: createConsumer({ ...consuming, parking }),
    publicApi: [parks.publicApi({ db, parking, effect, clock })],
  };
}

/** What erasures do to the parked records of this owner's consumer: its preview and a step of its job. */
function parkedByErasure<Command, State>(
  { family, observes }: EventOwner<Command, State>,
  db: Kysely<EventStoreSchema>,
): Pick<ErasureJobPorts, 'dropParked'> & Pick<PreviewPorts, 'countParked'> {
  const { topics, parks } = observes ?? {};
  if (topics === undefined || parks === undefined) return {};
  const ofKind = topics.filter((topic) => parks.streamKindOf(topic) === family.streamKind);
  return {
    // The fences stand: nothing of these streams is parked or replayed any more.
    dropParked: async (tx, tenantId, streams) => dropErased(tx, tenantId, ofKind, streams),
    countParked: async (tenantId, streams) => countErased(db, tenantId, ofKind, streams),
  };
}

/** Ticks for partitions whose erased records leave the log's files only then; a log without such files needs none. */
function createTicks<Command, State>(
  { family: { topic } }: EventOwner<Command, State>,
  { db, eventLog: { compactionLagMs }, clock, logger }: OwnerPorts,
  onEnqueued: () => void,
) {
  if (compactionLagMs === undefined) return undefined;
  const oweTicks: ErasureJobPorts['oweTicks'] = async (tx, partitions) =>
    await oweLateTicks(tx, topic, partitions);
  const loop = createLateTicks({ db, topic, compactionLagMs, clock, logger, onEnqueued });
  return { loop, oweTicks };
}

/** What runs beside the RPCs. */
function createLoops<Command, State>(owner: EventOwner<Command, State>, ports: OwnerPorts) {
  const { db, eventLog, peers, clock, randomBytes, logger, telemetry = noTelemetry } = ports;
  const { family } = owner;
  const { service, topic } = family;
  const holderId = `${service}-${randomBytes(8).toString('hex')}`;
  const keys = createKeyClient({ peer: peers('keys'), holderId, clock, logger, telemetry });
  const relay = createRelay({ db, eventLog, topic, clock, logger, onSequenced: storeSequences });
  const receipts = createReceiptSender({ db, peer: peers('privacy'), clock, logger });
  const ticks = createTicks(owner, ports, () => relay.wake());
  const jobs = createErasureJobs({
    family,
    db,
    analytics: peers('analytics'),
    clock,
    logger,
    onEnqueued: () => relay.wake(),
    onReceipt: () => receipts.wake(),
    ...parkedByErasure(owner, db),
    ...(ticks === undefined ? {} : { oweTicks: ticks.oweTicks }),
  });
  const effect = createErasureEffect({ service, clock, onJob: () => jobs.wake() });
  const topics = ['privacy.v1'] as const;
  const common = { db, eventLog, topics, peers, effect, clock, logger, telemetry };
  const consumer = createConsumer({ name: service, ...common });
  const problems = {
    consumer: () => consumer.problem(),
    relay: () => relay.problem(),
    'erasure-jobs': () => jobs.problem() ?? ticks?.loop.problem(),
    receipts: () => receipts.problem(),
  };
  return {
    keys,
    relay,
    problems,
    start: async () => {
      await keys.start();
      consumer.start();
      // An owner that has not read every fence must not accept anything.
      await consumer.caughtUp();
      await relay.start();
      jobs.start();
      ticks?.loop.start();
      receipts.start();
    },
    stop: async () => {
      const loops = [jobs, receipts, ...(ticks === undefined ? [] : [ticks.loop])];
      await Promise.all([consumer.stop(), ...loops.map(async (loop) => await loop.stop())]);
      await relay.stop();
      await keys.stop();
    },
    problem: () =>
      Object.values(problems)
        .map((problem) => problem())
        .find((said) => said !== undefined),
  };
}
