import { randomBytes } from 'node:crypto';
import type { Kysely } from 'kysely';
import { topics } from '@lethe/proto/topics.ts';
import type { Topic } from '@lethe/proto/topics.ts';
import { assertPostgresFits } from '../database/postgres-check.ts';
import { openPostgres } from '../database/postgres.ts';
import { ServiceError } from '../errors/service-error.ts';
import { openKafkaEventLog } from '../event-log/kafka.ts';
import type { EventLog } from '../event-log/port.ts';
import { tracedEventLog } from '../event-log/traced-event-log.ts';
import { openChannels } from '../grpc/channel.ts';
import type { Peers } from '../grpc/handler.ts';
import { tracedPeers, tracedService } from '../grpc/traced-calls.ts';
import { type Clock, type RandomBytes, systemClock } from '../lifecycle/clock.ts';
import type { Service } from '../lifecycle/service.ts';
import { createUndoStack } from '../lifecycle/undo-stack.ts';
import type { Logger } from '../log/logger.ts';
import type { RunningTelemetry } from '../telemetry/open-telemetry.ts';
import { observersThatEnd } from '../telemetry/observers-that-end.ts';
import { noTelemetry, type Telemetry } from '../telemetry/port.ts';
import { openTlsSource, type TlsSource } from '../tls/tls-source.ts';
import { type HealthReport, openHealthPort } from './health-port.ts';
import { patiently, type Patience } from './patiently.ts';
import type { ProcessConfig, ProcessShape } from './process-config.ts';
import { beginTelemetry } from './process-telemetry.ts';
import { openServicePorts, type ServicePorts } from './service-ports.ts';
import { becomeSoleInstance } from './sole-instance.ts';

/** What a service is composed of. */
export interface ProcessPorts {
  /** The service's own schema. */
  database<Schema>(): Kysely<Schema>;
  readonly eventLog: EventLog;
  readonly peers: Peers;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly logger: Logger;
  readonly telemetry: Telemetry;
}

/** A service over its ports, and what else was opened for it. */
export interface Composed {
  readonly service: Service;
  /** After the service has stopped. */
  close?(): Promise<void>;
  /** Of what was opened for it. */
  problem?(): string | undefined;
}

export interface RunOptions extends ProcessShape {
  readonly config: ProcessConfig;
  /** Whether there may be one process of it alone. */
  readonly isSole: boolean;
  /** May be called again: a start that failed for now is thrown away and made anew. */
  readonly compose: (ports: ProcessPorts) => Promise<Composed>;
  readonly logger: Logger;
  /** Off when absent. */
  readonly telemetry?: RunningTelemetry;
  /** The process must end: it lost what it may not go on without. */
  readonly onFatal: (error: unknown) => void;
}

/** A service's process from its start to its end. */
export interface Run {
  /** Resolves once calls are served; throws when the process must not run. */
  readonly started: Promise<void>;
  report(): HealthReport;
  /** Finishes what is in flight and ends; idempotent. */
  stop(): Promise<void>;
}

/** Starts at once. Whatever it needs may come later: it waits, not ready, and says for what. */
export function startRun(options: RunOptions): Run {
  const { config } = options;
  const undo = createUndoStack();
  const stopping = new AbortController();
  const state: State = {
    phase: 'starting',
    waitsFor: undefined,
    composed: undefined,
    tls: [],
    ports: undefined,
  };
  const report = () => reportOf(state);
  const started = start(options, { state, undo, stopping: stopping.signal });
  const stop = async () => {
    const wasServing = state.phase === 'serving';
    state.phase = 'stopping';
    state.ports?.unready();
    if (wasServing) await systemClock.sleep(config.drainDelayMs);
    stopping.abort();
    await undo.run();
  };
  let stopped: Promise<void> | undefined;
  return {
    started: started.catch(async (error: unknown) => {
      await (stopped ??= stop());
      throw error;
    }),
    report,
    stop: async () => await (stopped ??= stop()),
  };
}

interface State {
  phase: HealthReport['phase'];
  waitsFor: string | undefined;
  composed: Composed | undefined;
  tls: readonly TlsSource[];
  ports: ServicePorts | undefined;
}

interface Rooms {
  readonly state: State;
  readonly undo: ReturnType<typeof createUndoStack>;
  readonly stopping: AbortSignal;
}

function reportOf({ phase, waitsFor, composed, tls }: State): HealthReport {
  const problems = [
    composed?.service.problem(),
    composed?.problem?.(),
    ...tls.flatMap((source) => [source.problem(), source.warning()]),
  ].filter((problem) => problem !== undefined);
  return { phase, waitsFor, problems };
}

async function start(options: RunOptions, rooms: Rooms): Promise<void> {
  const { config, name, logger } = options;
  const { state, undo } = rooms;
  const telemetry = beginTelemetry(options.telemetry, undo, {
    name,
    clock: systemClock,
    isReady: () => state.phase === 'serving',
    serviceProblem: () => state.composed?.service.problem(),
    openedProblem: () => state.composed?.problem?.(),
    tls: () => state.tls,
  });
  const tls = openTls(options, rooms);
  const health = await openHealthPort(
    config.health,
    config.health.isEncrypted ? tls.internal : undefined,
    () => reportOf(state),
  );
  undo.push(async () => await health.stop());
  const db = await openDatabase(options, rooms);
  if (options.isSole) await waitToBeSole(db, options, rooms);
  const eventLog = await openLog(options, rooms);
  const addresses = config.peers;
  const channels = openChannels({
    addresses,
    tls: tls.internal,
    clock: systemClock,
    currentTrace: () => telemetry.current(),
  });
  undo.push(async () => channels.close());
  const composed = await startService(db, eventLog, channels.peers, options, rooms);
  const service = tracedService(composed.service, telemetry, systemClock);
  const ports = await openServicePorts({
    name,
    service,
    internal: config.internal,
    internalTls: tls.internal,
    publicPort: config.publicPort,
    publicTls: tls.public,
    clock: systemClock,
    logger,
  });
  state.ports = ports;
  undo.push(async () => await ports.drain(config.shutdownGraceMs));
  state.phase = 'serving';
  logger.info({ address: `${config.internal.host}:${ports.internalPort}` }, 'serves');
}

function openTls({ config, name, logger }: RunOptions, { state, undo }: Rooms) {
  const common = { clock: systemClock, logger };
  const internal = openTlsSource({ ...common, files: config.internal.tls, identity: name });
  undo.push(async () => await internal.stop());
  const files = config.publicPort?.tls;
  const outside = files === undefined ? undefined : openTlsSource({ ...common, files });
  if (outside !== undefined) undo.push(async () => await outside.stop());
  state.tls = outside === undefined ? [internal] : [internal, outside];
  return { internal, public: outside };
}

async function openDatabase(options: RunOptions, rooms: Rooms): Promise<Kysely<unknown>> {
  const db = openPostgres<unknown>(options.config.postgres);
  rooms.undo.push(async () => await db.destroy());
  await patiently('database', async () => await assertPostgresFits(db), patienceOf(options, rooms));
  return db;
}

async function waitToBeSole(db: Kysely<unknown>, options: RunOptions, rooms: Rooms): Promise<void> {
  const { state, stopping, undo } = rooms;
  const become = async () =>
    await becomeSoleInstance({
      db,
      clock: systemClock,
      signal: stopping,
      onWait: () => {
        state.waitsFor = `another process of ${options.name}, which is the only one there may be`;
      },
      onLost: options.onFatal,
    });
  const sole = await patiently('lock of the sole instance', become, patienceOf(options, rooms));
  undo.push(async () => await sole.release());
}

async function openLog(options: RunOptions, rooms: Rooms): Promise<EventLog> {
  const { name, config, logger } = options;
  const concerned = topics.filter(
    ({ owner, consumers }: Topic) => owner === name || consumers.includes(name),
  );
  const open = async () => {
    try {
      const { settings, ensure } = config.kafka;
      const given = {
        settings,
        ensure,
        topics: concerned,
        clock: systemClock,
        randomBytes,
        logger,
      };
      return await openKafkaEventLog(given);
    } catch (error) {
      // Topics may be made or corrected by somebody else at any time.
      if (!(error instanceof ServiceError && error.reason === 'CONFIG_INVALID')) throw error;
      throw new ServiceError('STORE_UNAVAILABLE', error.message, { cause: error });
    }
  };
  const eventLog = await patiently('event log', open, patienceOf(options, rooms));
  rooms.undo.push(async () => await eventLog.close());
  return eventLog;
}

async function startService(
  db: Kysely<unknown>,
  eventLog: EventLog,
  peers: Peers,
  options: RunOptions,
  rooms: Rooms,
): Promise<Composed> {
  const { logger, name } = options;
  const { state, undo } = rooms;
  const telemetry = options.telemetry?.of(name) ?? noTelemetry;
  const ports: ProcessPorts = {
    // One handle on one schema, whatever its owner knows of the tables.
    database: <Schema>() => db as unknown as Kysely<Schema>,
    eventLog: tracedEventLog(eventLog, telemetry, systemClock),
    peers: tracedPeers(peers, telemetry, systemClock),
    clock: systemClock,
    randomBytes,
    logger,
    telemetry,
  };
  const end = async () => {
    const { composed } = state;
    await composed?.service.stop();
    await composed?.close?.();
  };
  undo.push(end);
  const attempt = async (): Promise<Composed> => {
    const observers = observersThatEnd(telemetry);
    try {
      const composed = await options.compose({ ...ports, telemetry: observers.telemetry });
      state.composed = composed;
      state.waitsFor = 'the services, database and log that it needs';
      await composed.service.start();
      return composed;
    } catch (error) {
      observers.end();
      await end();
      state.composed = undefined;
      throw error;
    }
  };
  return await patiently('start', attempt, patienceOf(options, rooms));
}

function patienceOf({ logger }: RunOptions, { state, stopping }: Rooms): Patience {
  const onWait = (waitsFor: string | undefined) => (state.waitsFor = waitsFor);
  return { clock: systemClock, logger, stopping, onWait };
}
