import { SequenceServiceService } from '@lethe/proto/gen/lethe/log/v1/service.ts';
import { topics } from '@lethe/proto/topics.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { LogEntry, TopicPartition } from '../event-log/port.ts';
import type { Peers } from '../grpc/handler.ts';
import {
  type Classified,
  classify,
  lastBefore,
  type OnUnusable,
  type SequenceSpan,
  spanText,
} from './classify.ts';
import type { Checkpoint } from './checkpoints.ts';

const callTimeoutMs = 10_000;

/** Which sequences of `span` erasure removed, ascending, as the topic's owner (proto/topics.ts) lists them. */
export async function askErased(
  peers: Peers,
  { topic, partition }: TopicPartition,
  { from, to }: SequenceSpan,
  signal?: AbortSignal,
): Promise<readonly SequenceSpan[]> {
  const owner = topics.find((each) => each.name === topic)?.owner;
  if (owner === undefined) throw new RangeError(`no topic ${topic} in proto/topics.ts`);
  const request = { topic, partition, fromSequence: from, toSequence: to };
  const { erased } = await peers(owner).unary(SequenceServiceService.missing, request, {
    timeoutMs: callTimeoutMs,
    ...(signal === undefined ? {} : { signal }),
  });
  return erased.map((range) => ({ from: range.fromSequence, to: range.toSequence }));
}

/**
 * Classifies entries that still have a gap after they were read again from the checkpoint: asks the owner once for
 * all of them. Throws `SequenceGapError` when sequences of that first gap are not listed as erased: data is lost and
 * the partition must stop. A further gap behind it is answered as one, so that it too is read again first.
 *
 * The owner lists sequences before the log loses them (recordErased), so a gap by erasure is always listed.
 */
export async function classifyOverErased(
  peers: Peers,
  partition: TopicPartition,
  checkpoint: Checkpoint,
  entries: readonly LogEntry[],
  signal?: AbortSignal,
  onUnusable: OnUnusable = 'stop',
): Promise<Classified> {
  const found = classify(checkpoint, entries, [], onUnusable);
  if (found.gap === undefined) return found;
  const span = { from: found.gap.from, to: lastMissable(entries) };
  const erased = await askErased(peers, partition, span, signal);
  const again = classify(checkpoint, entries, erased, onUnusable);
  if (again.gap !== undefined && again.gap.from <= found.gap.to) {
    throw new SequenceGapError(partition, again.gap);
  }
  return again;
}

/** Sequences that are neither on the log nor listed by their owner. */
export class SequenceGapError extends ServiceError {
  readonly gap: SequenceSpan;

  constructor({ topic, partition }: TopicPartition, gap: SequenceSpan) {
    super(
      'SEQUENCE_GAP',
      `${topic}/${partition}: ${spanText(gap)} are neither on the log nor listed as erased`,
    );
    this.gap = gap;
  }
}

/** Behind it nothing that these entries tell of can be missing. */
function lastMissable(entries: readonly LogEntry[]): bigint {
  return entries.map(lastBefore).reduce((last, each) => (each > last ? each : last), 0n);
}
