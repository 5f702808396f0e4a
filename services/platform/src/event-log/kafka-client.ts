import kafkajs, { type Kafka, type LogEntry, type logLevel } from 'kafkajs';
import type { Logger } from '../log/logger.ts';
import { teachEmptyBatches } from './kafka-empty-batches.ts';
import { teachRefusals } from './kafka-refusals.ts';
import { connectionOf, type KafkaSettings } from './kafka-settings.ts';

/** Timeouts and retries of a client, milliseconds; the defaults suit a cluster on the same network. */
export interface KafkaTimeouts {
  readonly connectMs: number;
  /** A request without an answer fails after this. */
  readonly requestMs: number;
  /** A member that sent no heartbeat for this long loses its partitions. */
  readonly sessionMs: number;
  readonly heartbeatMs: number;
  /** How long members have to join again in a rebalance. */
  readonly rebalanceMs: number;
  /** How long the broker holds a fetch that finds nothing. Also bounds how long leaving a group takes. */
  readonly fetchWaitMs: number;
  /** The coordinator aborts a transaction that is open for longer; readers wait for it at most this long. */
  readonly transactionMs: number;
  /** How long opening a reader may take: finding the coordinator, joining, the checkpoint. */
  readonly openMs: number;
}

export const defaultKafkaTimeouts: KafkaTimeouts = {
  connectMs: 3_000,
  requestMs: 15_000,
  sessionMs: 10_000,
  heartbeatMs: 1_000,
  rebalanceMs: 20_000,
  // The library's own 5 s would be the time of every disconnect and every rebalance.
  fetchWaitMs: 200,
  transactionMs: 15_000,
  openMs: 30_000,
};

/** A client of the cluster; connects when it is first used. */
export function createKafkaClient(
  settings: KafkaSettings,
  timeouts: KafkaTimeouts,
  logger: Logger,
): Kafka {
  teachEmptyBatches();
  teachRefusals();
  return new kafkajs.Kafka({
    ...connectionOf(settings),
    connectionTimeout: timeouts.connectMs,
    authenticationTimeout: timeouts.requestMs,
    requestTimeout: timeouts.requestMs,
    enforceRequestTimeout: true,
    // A fresh broker answers "coordinator not available" to the first use of a group or a transactional id.
    retry: { initialRetryTime: 50, maxRetryTime: 1_000, retries: 8 },
    logLevel: kafkajs.logLevel.WARN,
    logCreator: () => (entry) => writeLine(logger, entry),
  });
}

/**
 * The library reports as errors what it then retries: one level lower here, and without its fields. What fails for
 * good comes back as a ServiceError.
 */
function writeLine(logger: Logger, { namespace, level, log }: LogEntry): void {
  const isError: boolean = level <= errorLevel;
  const line = { component: 'kafka' };
  if (isError) logger.warn(line, `${namespace}: ${log.message}`);
  else logger.debug(line, `${namespace}: ${log.message}`);
}

const errorLevel: logLevel = kafkajs.logLevel.ERROR;
