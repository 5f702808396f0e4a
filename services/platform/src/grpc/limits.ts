import type { ChannelOptions } from '@grpc/grpc-js';
import { ServiceError } from '../errors/service-error.ts';
import type { Caller } from './handler.ts';

/** What a port takes at most. What is refused harms nobody else, and may come again when others have left. */
export interface ServerLimits {
  /** Bytes of one message; the transport answers RESOURCE_EXHAUSTED to a larger one. */
  readonly messageBytesMax: number;
  /** Bytes of a call's metadata, names and values; above 64 KiB the transport refuses by itself. */
  readonly metadataBytesMax: number;
  /** Calls that are open on one connection; HTTP/2 lets the client wait with the next. */
  readonly streamsPerConnectionMax: number;
  /** Calls that are open in all, streams among them. */
  readonly callsMax: number;
  /** Of these, by one tenant, operator or service. */
  readonly callsPerCallerMax: number;
  /** How long answers of a stream may wait for a caller that reads nothing, milliseconds. */
  readonly slowReaderMs: number;
  /** A connection without a call is closed after this long, milliseconds; clients open it again by themselves. */
  readonly connectionIdleMs: number;
}

/** A port that tenants reach. */
export const publicLimits: ServerLimits = {
  // gRPC's own default; a batch of 1,000 events of 4 KB.
  messageBytesMax: 4 * 1024 * 1024,
  // A token has about 1 KB.
  metadataBytesMax: 16 * 1024,
  streamsPerConnectionMax: 100,
  // A call holds some 20 KB and at most 17 answers that its caller has not read.
  callsMax: 1_000,
  // One tenant leaves four fifths to the others.
  callsPerCallerMax: 200,
  // As long as the client's own timeout for an answer.
  slowReaderMs: 30_000,
  connectionIdleMs: 5 * 60_000,
};

/** A port that only services reach: five of them, each over one connection, for all of their own callers. */
export const internalLimits: ServerLimits = {
  ...publicLimits,
  // The scopes of a person with many tickets come in one answer.
  messageBytesMax: 8 * 1024 * 1024,
  streamsPerConnectionMax: 2_000,
  callsMax: 10_000,
  callsPerCallerMax: 2_500,
};

/** A client that vanished without a word is found by a ping: after a minute of silence, and 20 s for the answer. */
const keepalive = { 'grpc.keepalive_time_ms': 60_000, 'grpc.keepalive_timeout_ms': 20_000 };

/** The limits that the transport holds. */
export function transportOptionsOf(limits: ServerLimits): ChannelOptions {
  return {
    ...keepalive,
    'grpc.max_receive_message_length': limits.messageBytesMax,
    'grpc.max_concurrent_streams': limits.streamsPerConnectionMax,
    'grpc.max_connection_idle_ms': limits.connectionIdleMs,
    // Counts for a debugger that nobody attaches.
    'grpc.enable_channelz': 0,
  };
}

/** The place of one open call. */
export interface Admission {
  /** Once it is known who calls. Throws TOO_MANY_CALLS. */
  belongsTo(caller: Caller): void;
  leave(): void;
}

/** Counts the calls that are open. */
export interface CallGate {
  /** Before anything is done for a call. Throws TOO_MANY_CALLS. */
  enter(): Admission;
}

const retryDelayMs = 1_000;

export function createCallGate({ callsMax, callsPerCallerMax }: ServerLimits): CallGate {
  let open = 0;
  const openOf = new Map<string, number>();
  const add = (name: string, change: number): void => {
    const count = (openOf.get(name) ?? 0) + change;
    if (count === 0) openOf.delete(name);
    else openOf.set(name, count);
  };
  return {
    enter: () => {
      if (open >= callsMax) throw tooMany(`The server takes ${callsMax} calls at a time`, 'calls');
      open += 1;
      let owner: string | undefined;
      return {
        belongsTo: (caller) => {
          const name = nameOf(caller);
          if ((openOf.get(name) ?? 0) >= callsPerCallerMax) {
            throw tooMany(
              `The server takes ${callsPerCallerMax} calls of one caller at a time`,
              'calls_per_caller',
            );
          }
          owner = name;
          add(name, 1);
        },
        leave: () => {
          open -= 1;
          if (owner !== undefined) add(owner, -1);
        },
      };
    },
  };
}

function tooMany(rule: string, limit: string): ServiceError {
  return new ServiceError('TOO_MANY_CALLS', `${rule}, and as many are open.`, {
    retryDelayMs,
    limit,
  });
}

function nameOf(caller: Caller): string {
  switch (caller.kind) {
    case 'tenant':
      return `tenant ${caller.tenantId}`;
    case 'platform':
      return `platform ${caller.subject}`;
    case 'service':
      return `service ${caller.service}`;
    case 'anonymous':
      return 'anonymous';
  }
}
