import type { Kysely } from 'kysely';
import type { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import type { EventId, TenantId } from '../ids/ids.ts';
import type { KeyClient, LeaseRefusal, SealLease } from '../key-client/port.ts';
import type { RandomBytes } from '../lifecycle/clock.ts';
import type { EventFamily } from './family.ts';
import type { StreamKey } from './streams.ts';
import type { EventStoreSchema } from './tables.ts';

export interface ApplyPorts<Command, State> {
  readonly family: EventFamily<Command, State>;
  readonly db: Kysely<EventStoreSchema>;
  readonly keys: KeyClient;
  readonly randomBytes: RandomBytes;
}

/** A record of the log. */
export interface LoggedRecord {
  readonly partition: number;
  readonly sequence: bigint;
  /** The log's record key. */
  readonly recordId: EventId;
  readonly record: LogRecord;
  /** The same, encoded as it lies on the log. */
  readonly value: Uint8Array;
}

/** A stream while records of the log are folded into it. */
export interface MendedStream<State> {
  readonly key: StreamKey;
  readonly partition: number;
  position: number;
  openedAtMs: number;
  readonly version: number;
  state: State | undefined;
  /** For sealing the next state; undefined where streams have none. */
  readonly lease: SealLease | LeaseRefusal | undefined;
}

/** What one tenant's records come to. */
export interface Folded<State> {
  readonly tenantId: TenantId;
  readonly streams: ReadonlyMap<string, MendedStream<State>>;
  readonly records: readonly { readonly logged: LoggedRecord; readonly key: StreamKey }[];
  readonly unreadable: readonly LoggedRecord[];
}
