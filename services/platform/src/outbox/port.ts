import type { EventId } from '../ids/ids.ts';

/** One row for the relay. Rows of a partition are relayed in the order of their row ids. */
export type OutboxRow = {
  readonly partition: number;
} & (
  | {
      readonly kind: 'record';
      readonly eventId: EventId;
      /** Encoded lethe.log.v1.Record. */
      readonly value: Uint8Array;
      readonly recordedAtMs: number;
    }
  | { readonly kind: 'tombstone'; readonly eventId: EventId }
  | { readonly kind: 'tick' }
);

/** A record row that has just been given its sequence, in the relay's own transaction. */
export interface SequencedRow {
  readonly eventId: EventId;
  readonly partition: number;
  readonly sequence: bigint;
}
