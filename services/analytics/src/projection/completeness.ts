import { SequenceServiceService } from '@lethe/proto/gen/lethe/log/v1/service.ts';
import { topicNamed, type TopicName } from '@lethe/proto/topics.ts';
import { failureFields } from '@lethe/platform/errors/failure.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { Peers } from '@lethe/platform/grpc/handler.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import { createLoop, type Loop } from '@lethe/platform/lifecycle/loop.ts';
import type { Logger } from '@lethe/platform/log/logger.ts';
import { partitionName } from './partition-name.ts';

/** Sequences by topic and partition. */
export type Sequences = ReadonlyMap<string, bigint>;

/** What the owners said at one time: once the ledger holds all of it, it is complete up to `asOfMs`. */
interface Horizon {
  readonly heads: Sequences;
  readonly asOfMs: number;
}

export interface MarkPorts {
  readonly topics: readonly TopicName[];
  readonly peers: Peers;
  /** The highest sequence per partition up to which everything lies in the ledger. */
  readonly insertedSequences: () => Promise<Sequences>;
}

/** The "complete up to" mark. */
export interface Mark {
  /**
   * Milliseconds since 1970: every event recorded before this moment is in the ledger. Undefined after a start, until
   * the owners have been asked and what they said has been reached: nothing is claimed from memory.
   */
  completeUpToMs(): number | undefined;
  /** Looks once how far things are. */
  advance(signal: AbortSignal): Promise<void>;
}

const callTimeoutMs = 10_000;

/**
 * Asks every owner how far its topic goes and as of when, and once the ledger holds all of that, moves the mark to the
 * earliest of the moments. The horizon is held until it is reached: under load newer heads would always be ahead.
 */
export function createMark(ports: MarkPorts): Mark {
  let horizon: Horizon | undefined;
  let mark: number | undefined;
  return {
    completeUpToMs: () => mark,
    advance: async (signal) => {
      horizon ??= await askOwners(ports, signal);
      if (!isReached(horizon, await ports.insertedSequences())) return;
      // An owner's clock may go back; the mark does not.
      mark = Math.max(mark ?? 0, horizon.asOfMs);
      horizon = undefined;
    },
  };
}

export interface CompletenessPorts extends MarkPorts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly pollMs: number;
}

export interface Completeness extends Loop {
  /** See `Mark`. */
  completeUpToMs(): number | undefined;
}

/** Keeps the mark: when woken after a chunk, else every now and then. */
export function createCompleteness(ports: CompletenessPorts): Completeness {
  const mark = createMark(ports);
  const loop = createLoop({
    name: 'completeness',
    clock: ports.clock,
    pollMs: ports.pollMs,
    run: async (signal) => {
      await mark.advance(signal);
      return 'idle';
    },
    onError: (error, delayMs) => {
      ports.logger.warn(
        { component: 'completeness', ...failureFields(error), delayMs },
        'heads are not known',
      );
    },
  });
  return { ...loop, completeUpToMs: () => mark.completeUpToMs() };
}

async function askOwners({ topics, peers }: MarkPorts, signal: AbortSignal): Promise<Horizon> {
  const heads = new Map<string, bigint>();
  const answers = await Promise.all(
    topics.map(async (topic) => {
      const owner = peers(topicNamed(topic).owner);
      const options = { signal, timeoutMs: callTimeoutMs };
      const answer = await owner.unary(SequenceServiceService.heads, { topic }, options);
      if (answer.asOf === undefined) {
        throw new ServiceError('INTERNAL_DEFECT', `the owner of ${topic} did not say as of when`);
      }
      for (const { partition, sequence } of answer.heads) {
        heads.set(partitionName(topic, partition), sequence);
      }
      return answer.asOf.getTime();
    }),
  );
  return { heads, asOfMs: Math.min(...answers) };
}

function isReached({ heads }: Horizon, inserted: Sequences): boolean {
  return [...heads].every(([partition, sequence]) => (inserted.get(partition) ?? 0n) >= sequence);
}
