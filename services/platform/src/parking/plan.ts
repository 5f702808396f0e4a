import type { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import type { Reason } from '@lethe/proto/reasons.ts';
import type { LogEntry } from '../event-log/port.ts';
import type { Logger } from '../log/logger.ts';
import { waitsBehind } from './poison.ts';
import { incarnationText, type StreamName, streamNameOf, streamText } from './stream-name.ts';

/** A record of a partition, as it lies on the log. */
export type RecordEntry = Extract<LogEntry, { kind: 'record' }>;

/** What goes into the table. */
export interface ToPark extends StreamName {
  readonly entry: RecordEntry;
  readonly reason: Reason;
}

/** What is known of a partition's parked streams: a guess until the transaction has looked. */
export interface ParkingGuess {
  /** By `streamText`. */
  readonly parked: ReadonlySet<string>;
  /** Fenced streams that were met, by `incarnationText`: nothing of them is parked. */
  readonly fenced: ReadonlySet<string>;
}

export const nothingParked: ParkingGuess = { parked: new Set(), fenced: new Set() };

/** Sorts the records of one partition, in order, into those to apply and those to park. */
export interface ParkingPlan {
  readonly guess: ParkingGuess;
  readonly toPark: readonly ToPark[];
  /** Poison of erased streams: neither parked nor applied. */
  readonly passed: readonly RecordEntry[];
  /** Whether the record is to be tried. False: its stream is parked, and it was put behind it. */
  mayTry(record: LogRecord | undefined, entryOf: () => RecordEntry): boolean;
  /** The record was tried and is poison: its stream is parked from here on. */
  park(record: LogRecord | undefined, entry: RecordEntry, reason: Reason): void;
}

/** What is known once the plan is committed. */
export function guessAfter({ guess, toPark }: ParkingPlan): ParkingGuess {
  return { parked: new Set([...guess.parked, ...toPark.map(streamText)]), fenced: new Set() };
}

/** One line for each stream that the plan began to park, and for what it passed over. */
export function logParked(
  logger: Logger,
  place: { readonly component: string; readonly topic: string; readonly partition: number },
  { toPark, passed }: ParkingPlan,
): void {
  for (const { entry, reason, tenantId } of toPark) {
    if (reason === waitsBehind) continue;
    logger.warn({ ...place, sequence: entry.sequence, tenant: tenantId, reason }, 'stream parked');
  }
  for (const { sequence } of passed) {
    logger.warn({ ...place, sequence }, 'poison of an erased stream is passed over');
  }
}

export function createParkingPlan(guess: ParkingGuess): ParkingPlan {
  const parked = new Set(guess.parked);
  const toPark: ToPark[] = [];
  const passed: RecordEntry[] = [];
  return {
    guess,
    toPark,
    passed,
    mayTry: (record, entryOf) => {
      // Nearly always: then no stream needs a name.
      if (parked.size === 0) return true;
      const entry = entryOf();
      const name = streamNameOf(record, entry.eventId);
      if (!parked.has(streamText(name)) || guess.fenced.has(incarnationText(name))) return true;
      toPark.push({ ...name, entry, reason: waitsBehind });
      return false;
    },
    park: (record, entry, reason) => {
      const name = streamNameOf(record, entry.eventId);
      // Erased, and unreadable: it is passed over like any record that an erasure removed.
      if (guess.fenced.has(incarnationText(name))) {
        passed.push(entry);
        return;
      }
      parked.add(streamText(name));
      toPark.push({ ...name, entry, reason });
    },
  };
}
