import type { ClickHouseClient } from '@clickhouse/client';
import {
  AnalyticsServiceService,
  ProjectionServiceService,
} from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import { ErasureParticipantServiceService } from '@lethe/proto/gen/lethe/erasure/v1/service.ts';
import { AnalyticsParkingServiceService } from '@lethe/proto/gen/lethe/parking/v1/service.ts';
import { AnalyticsRebuildServiceService } from '@lethe/proto/gen/lethe/rebuild/v1/service.ts';
import type { TopicName } from '@lethe/proto/topics.ts';
import { createConsumer } from '@lethe/platform/consumer/consumer.ts';
import { migrateToLatest } from '@lethe/platform/database/migrate.ts';
import type { EventLog } from '@lethe/platform/event-log/port.ts';
import type { Peers, ServiceRegistration } from '@lethe/platform/grpc/handler.ts';
import { registerService } from '@lethe/platform/grpc/register.ts';
import { newUuid } from '@lethe/platform/ids/new-id.ts';
import { createKeyClient } from '@lethe/platform/key-client/key-client.ts';
import type { KeyClient } from '@lethe/platform/key-client/port.ts';
import type { Clock, RandomBytes } from '@lethe/platform/lifecycle/clock.ts';
import type { Loop } from '@lethe/platform/lifecycle/loop.ts';
import { observeProblems } from '@lethe/platform/lifecycle/observe-service.ts';
import type { Service } from '@lethe/platform/lifecycle/service.ts';
import type { Logger } from '@lethe/platform/log/logger.ts';
import { observeParking } from '@lethe/platform/parking/observe-parking.ts';
import { parkingHandlers } from '@lethe/platform/parking/parking-service.ts';
import { createReceiptSender } from '@lethe/platform/receipts/receipt-sender.ts';
import { noTelemetry, type Telemetry } from '@lethe/platform/telemetry/port.ts';
import type { AnalyticsConfig } from './config.ts';
import { createPrivacyEffect } from './consumer.ts';
import { createGate, type Gate } from './ledger/gate.ts';
import { createLedger, type Ledger } from './ledger/ledger.ts';
import { ledgerDatabase } from './ledger/table-ddl.ts';
import { topologyOf } from './ledger/topology.ts';
import { migrations } from './migrations/migrations.ts';
import { observeLedger } from './observe-ledger.ts';
import { analyticsParking } from './projection/analytics-parking.ts';
import { type Completeness, createCompleteness } from './projection/completeness.ts';
import { countParkedEvents } from './projection/parked-count.ts';
import { openProjection, type Projection } from './projection/projection.ts';
import { createProjector } from './projection/projector.ts';
import type { Refused } from './projection/refuse-behind.ts';
import {
  createReplayEffect,
  finishReplay,
  type PreparedReplay,
} from './projection/replay-effect.ts';
import {
  committedSequences,
  insertedSequences,
  uncountedSequences,
} from './projection/sequences.ts';
import { createChunkWatch, tracedLedger } from './projection/traced-projection.ts';
import { createLedgerRebuildRpc } from './rebuild/ledger-rebuild-rpc.ts';
import { recoverLedger } from './rebuild/rebuild-ledger.ts';
import { getPlatformTotals } from './rpc/get-platform-totals.ts';
import { listMetrics } from './rpc/list-metrics.ts';
import { previewErasure } from './rpc/preview-erasure.ts';
import { progress } from './rpc/progress.ts';
import { queryMetric } from './rpc/query-metric.ts';
import { type AnalyticsDatabase, countTenants } from './store.ts';

export interface AnalyticsPorts {
  readonly db: AnalyticsDatabase;
  readonly eventLog: EventLog;
  /** Over the embedded engine or HTTP. The service closes nothing that it was given. */
  readonly clickHouse: ClickHouseClient;
  readonly peers: Peers;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly logger: Logger;
  /** Default: none. */
  readonly telemetry?: Telemetry;
  /** Another name for the ledger's database, for tests that share one ClickHouse. */
  readonly ledgerDatabase?: string;
}

/** The topics that are counted. */
const countedTopics = ['tickets.v1', 'predictions.v1', 'usage.v1'] as const satisfies TopicName[];

const idleMs = 500;

/** Composes analytics; nothing runs before `start`. */
export function createAnalytics(config: AnalyticsConfig, ports: AnalyticsPorts): Service {
  const { db, peers, clock, logger, telemetry = noTelemetry } = ports;
  const ledger = createLedger({
    client: ports.clickHouse,
    database: ports.ledgerDatabase ?? ledgerDatabase,
    statementsMax: config.ledgerStatementsMax,
    topology: topologyOf(config.ledgerCluster),
  });
  const keyClient = createKeyClient({
    peer: peers('keys'),
    holderId: `analytics-${newUuid(clock, ports.randomBytes)}`,
    clock,
    logger,
    telemetry,
  });
  const completeness = openCompleteness(config, ports);
  // A rebuild exchanges the ledger's tables between two rounds of the projection.
  const turn = createGate(1);
  const open = projectionOpener(config, ports, { ledger, keyClient });
  const progressed = () => completeness.wake();
  const projector = createProjector({ clock, logger, open, turn, progressed });
  const rebuilding = createRebuilding(ports, { ledger, keyClient, turn });
  const receiptSender = createReceiptSender({ db, peer: peers('privacy'), clock, logger });
  const consumer = createPrivacyConsumer(ports, () => receiptSender.wake());
  observeParts(ports, { projector, consumer, receiptSender, completeness });
  return {
    publicApi: [
      publicRegistration(config, ports, ledger, completeness),
      parkingRegistration(ports, ledger, keyClient, () => completeness.wake()),
      rebuilding.registration,
    ],
    internalApi: internalRegistrations(ports),
    start: async () => {
      await migrateToLatest(db, migrations);
      await (config.ledgerTables === 'create' ? ledger.createTables() : ledger.checkTables());
      await rebuilding.recover();
      await keyClient.start();
      consumer.start();
      receiptSender.start();
      projector.start();
      completeness.start();
    },
    stop: async () => {
      await rebuilding.stop();
      await Promise.all([completeness.stop(), projector.stop(), consumer.stop()]);
      await Promise.all([receiptSender.stop(), keyClient.stop()]);
    },
    problem: () =>
      projector.problem() ??
      consumer.problem() ??
      receiptSender.problem() ??
      completeness.problem(),
  };
}

function openCompleteness(config: AnalyticsConfig, ports: AnalyticsPorts): Completeness {
  const { peers, clock, logger } = ports;
  return createCompleteness({
    topics: countedTopics,
    peers,
    insertedSequences: async () => insertedSequences(ports, countedTopics),
    clock,
    logger,
    pollMs: config.completenessPollMs,
  });
}

interface ObservedParts {
  readonly projector: Pick<Loop, 'problem'>;
  readonly consumer: Pick<Loop, 'problem'>;
  readonly receiptSender: Pick<Loop, 'problem'>;
  readonly completeness: Completeness;
}

function observeParts(ports: AnalyticsPorts, parts: ObservedParts): void {
  const { telemetry = noTelemetry } = ports;
  const { projector, consumer, receiptSender, completeness } = parts;
  const completeUpToMs = () => completeness.completeUpToMs();
  observeLedger({ ...ports, telemetry, topics: countedTopics, completeUpToMs });
  observeParking(telemetry, ports.db, countedTopics);
  observeProblems(telemetry, {
    projection: () => projector.problem(),
    consumer: () => consumer.problem(),
    receipts: () => receiptSender.problem(),
    completeness: () => completeness.problem(),
  });
}

function createPrivacyConsumer(ports: AnalyticsPorts, onReceipt: () => void) {
  const { db, eventLog, peers, clock, logger, telemetry = noTelemetry } = ports;
  const effect = createPrivacyEffect({ peers, clock, onReceipt });
  const topics = ['privacy.v1'] as const;
  const parts = { db, eventLog, topics, peers, effect, clock, logger, telemetry };
  return createConsumer({ name: 'analytics', ...parts });
}

/** The rebuild of the ledger, and what one that died has left. */
function createRebuilding(ports: AnalyticsPorts, parts: ProjectionParts & { readonly turn: Gate }) {
  const rebuildPorts = { ...ports, ...parts, topics: countedTopics };
  const rpc = createLedgerRebuildRpc(rebuildPorts);
  return {
    registration: registerService(AnalyticsRebuildServiceService, { rebuild: rpc.handler }),
    recover: async () => {
      if (!(await recoverLedger(rebuildPorts))) return;
      ports.logger.info({ component: 'rebuild' }, 'removed the work of an unfinished rebuild');
    },
    stop: async () => rpc.stop(),
  };
}

interface ProjectionParts {
  readonly ledger: Ledger;
  readonly keyClient: KeyClient;
}

/** How the projection is opened, with its telemetry. */
function projectionOpener(
  config: AnalyticsConfig,
  ports: AnalyticsPorts,
  { ledger, keyClient }: ProjectionParts,
): () => Promise<Projection> {
  const { clock, randomBytes, telemetry = noTelemetry } = ports;
  const traced = { ...ports, telemetry, topics: countedTopics };
  const watch = createChunkWatch(traced);
  const refused: Refused = new Map();
  return async () =>
    await openProjection({
      ...ports,
      refused,
      ...(watch === undefined ? {} : { watch }),
      ledger: tracedLedger(ledger, traced),
      keyClient,
      createManifestId: () => newUuid(clock, randomBytes),
      topics: countedTopics,
      chunk: { recordsMax: config.chunkRecordsMax, fillMs: config.chunkFillMs, idleMs },
    });
}

function publicRegistration(
  config: AnalyticsConfig,
  { db, clock }: AnalyticsPorts,
  ledger: Ledger,
  completeness: Completeness,
): ServiceRegistration {
  const completeUpToMs = () => completeness.completeUpToMs();
  return registerService(AnalyticsServiceService, {
    queryMetric: queryMetric({
      ledger,
      clock,
      completeUpToMs,
      countParked: async (tenantId) => countParkedEvents(db, tenantId),
      rowsMax: config.answerRowsMax,
    }),
    listMetrics: listMetrics(),
    getPlatformTotals: getPlatformTotals({
      ledger,
      countTenants: async () => countTenants(db),
      completeUpToMs,
      countParked: async () => countParkedEvents(db),
    }),
  });
}

function parkingRegistration(
  { db, clock, randomBytes }: AnalyticsPorts,
  ledger: Ledger,
  keyClient: KeyClient,
  onProgress: () => void,
): ServiceRegistration {
  const createManifestId = () => newUuid(clock, randomBytes);
  const effect = createReplayEffect({ db, ledger, keyClient, clock, createManifestId });
  const finish = async (prepared: PreparedReplay): Promise<void> => {
    await finishReplay({ db, ledger }, prepared);
    onProgress();
  };
  const replaying = { db, clock, effect, finish, parking: analyticsParking };
  return registerService(AnalyticsParkingServiceService, parkingHandlers(replaying));
}

function internalRegistrations(ports: AnalyticsPorts): readonly ServiceRegistration[] {
  return [
    registerService(ProjectionServiceService, {
      progress: progress({
        topics: countedTopics,
        committedSequences: async (topic) => committedSequences(ports, topic),
        uncountedSequences: async (topic, max) => uncountedSequences(ports.db, topic, max),
      }),
    }),
    registerService(ErasureParticipantServiceService, { previewErasure: previewErasure(ports.db) }),
  ];
}
