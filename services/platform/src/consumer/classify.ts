import { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import type { LogEntry } from '../event-log/port.ts';
import { isRecordKeyOf } from '../ids/record-id.ts';
import type { Checkpoint } from './checkpoints.ts';
import type { NewRecord } from './port.ts';

/** Sequences `from` to `to`, both included. */
export interface SequenceSpan {
  readonly from: bigint;
  readonly to: bigint;
}

/** A record that is new and no record, or not under its own key. */
export interface UnusableRecord {
  readonly entry: Extract<LogEntry, { kind: 'record' }>;
  readonly reason: 'RECORD_MALFORMED' | 'RECORD_KEY_WRONG';
  /** Set when the bytes are a record after all: its header may be read, and nothing of it be trusted. */
  readonly record: LogRecord | undefined;
}

/** What is done about records that cannot be used: `stop` before the first, or `collect` them for parking. */
export type OnUnusable = 'stop' | 'collect';

export interface Classified {
  /** To be applied, in this order; each sequence once. */
  readonly fresh: readonly NewRecord[];
  /** How many records were at or below the checkpoint: applied before, skipped. */
  readonly duplicates: number;
  /**
   * Set when sequences are neither among the entries nor listed as erased. `fresh` and `next` end before them and
   * nothing behind them was looked at: apply `fresh`, read again from `next.nextOffset`; when the gap is still there
   * ask its owner (missing.ts) and classify again with what was erased.
   */
  readonly gap: SequenceSpan | undefined;
  /** Set when a record cannot be decoded; `fresh` and `next` end before it. It must stop the partition. */
  readonly malformed: bigint | undefined;
  /**
   * Records that cannot be used as they are, in sequence order; empty unless asked to collect them. They count as read:
   * whoever collects must park them.
   */
  readonly unusable: readonly UnusableRecord[];
  /** The checkpoint once `fresh` is applied. Equal to the given one when there was nothing to do. */
  readonly next: Checkpoint;
}

/**
 * Compares entries of one partition with its checkpoint; pure. Tombstone records move the offset and nothing else. A
 * tick is ahead only when records before it are not on the log any more: relayed after them, it cannot overtake them.
 * It is then a jump like any other; the end of a partition that erasure removed shows in nothing else. `erased`:
 * ascending, the sequences that the topic's owner lists as erased; a jump over them is none.
 */
export function classify(
  checkpoint: Checkpoint,
  entries: readonly LogEntry[],
  erased: readonly SequenceSpan[] = [],
  onUnusable: OnUnusable = 'stop',
): Classified {
  const fresh: NewRecord[] = [];
  const unusable: UnusableRecord[] = [];
  let { sequence, nextOffset } = checkpoint;
  let duplicates = 0;
  const ended = (stop: Pick<Classified, 'gap' | 'malformed'>): Classified => {
    return { fresh, unusable, duplicates, next: { sequence, nextOffset }, ...stop };
  };
  for (const entry of entries) {
    const before = lastBefore(entry);
    const gap = firstUnlisted({ from: sequence + 1n, to: before }, erased);
    if (gap !== undefined) return ended({ gap, malformed: undefined });
    if (entry.kind === 'record' && entry.sequence > sequence) {
      const found = readRecord(entry);
      if ('reason' in found && onUnusable === 'stop') {
        return ended({ gap: undefined, malformed: entry.sequence });
      }
      if ('reason' in found) unusable.push(found);
      else fresh.push({ sequence: entry.sequence, offset: entry.offset, record: found });
      sequence = entry.sequence;
    } else if (entry.kind === 'record') {
      duplicates += 1;
    } else if (before > sequence) {
      sequence = before;
    }
    // Entries that are handed out again lie below the checkpoint's offset: it never goes back.
    if (entry.offset >= nextOffset) nextOffset = entry.offset + 1n;
  }
  return ended({ gap: undefined, malformed: undefined });
}

/** The last of the sequences that lie before an entry, on the log or erased; 0n when it does not tell. */
export function lastBefore(entry: LogEntry): bigint {
  if (entry.kind === 'tombstone') return 0n;
  return entry.kind === 'record' ? entry.sequence - 1n : entry.lastSequence;
}

/**
 * The first run of sequences within `span` that no range of `erased` (ascending) covers; undefined when all are
 * covered, or `span` is empty.
 */
export function firstUnlisted(
  span: SequenceSpan,
  erased: readonly SequenceSpan[],
): SequenceSpan | undefined {
  let { from } = span;
  for (const range of erased) {
    if (from > span.to) return undefined;
    if (range.to < from) continue;
    if (range.from > from) return { from, to: min(span.to, range.from - 1n) };
    from = range.to + 1n;
  }
  return from > span.to ? undefined : { from, to: span.to };
}

/** "17..19", or "17" when it is one. */
export function spanText({ from, to }: SequenceSpan): string {
  return from === to ? `${from}` : `${from}..${to}`;
}

/** The record, or why the bytes are none that may be used under the log's record key. */
export function readRecord(entry: UnusableRecord['entry']): LogRecord | UnusableRecord {
  try {
    const record = LogRecord.decode(entry.value);
    if (record.header === undefined)
      return { entry, reason: 'RECORD_MALFORMED', record: undefined };
    // Erasure tombstones by record key: a record under another key could never be erased from the log.
    const isItsKey = isRecordKeyOf(record.header, entry.eventId);
    return isItsKey ? record : { entry, reason: 'RECORD_KEY_WRONG', record };
  } catch {
    // Only the decoder threw, and what it says of the bytes adds nothing to the reason.
    return { entry, reason: 'RECORD_MALFORMED', record: undefined };
  }
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
