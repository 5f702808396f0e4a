import { createHash, randomBytes } from 'node:crypto';
import type { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { eventShapes } from '@lethe/proto/gen/shapes.ts';
import type { Scope, TenantId, Token } from '@lethe/platform/ids/ids.ts';
import type {
  HeldLease,
  KeyClient,
  LeaseRefusal,
  OpenRequest,
  SealLease,
} from '@lethe/platform/key-client/port.ts';
import { sealEvent, splitEvent } from '@lethe/platform/sealing/event.ts';
import { testLease } from '@lethe/platform/testing/test-lease.ts';

/** An event as the owner of a topic would seal it. */
export interface EventToRecord {
  readonly tenantId: TenantId;
  readonly type: string;
  readonly eventBytes: Uint8Array;
  readonly occurredAtMs: number;
  /** 16 hex digits; undefined for a closed month. */
  readonly contributor: string | undefined;
  /** 32 hex digits; one that all records share when left out. */
  readonly stream?: string;
  /** Of the stream; 1 when left out. */
  readonly incarnation?: number;
  /** 1 when left out. */
  readonly schemaVersion?: number;
}

/** Keys by tenant and scope that never end, and a key client that knows those of the facts. */
export interface TestKeys {
  readonly leaseOf: (tenantId: TenantId, scope: Scope) => SealLease;
  readonly keyClient: Pick<KeyClient, 'leaseForOpen'>;
  /** The scopes for which the key client was asked. */
  readonly asked: Scope[];
  /** Every later lease of this tenant's facts is refused so; undefined ends that. */
  readonly refuse: (tenantId: TenantId, status: LeaseRefusal['status'] | undefined) => void;
}

const token = 'ab'.repeat(16) as Token;

/** The data key of a test's scope, 32 bytes. */
export function testSecret(tenantId: string, kind: Scope['kind']): Buffer {
  return createHash('sha256').update(`${tenantId}/${kind}`).digest();
}

export function createTestKeys(): TestKeys {
  const leases = new Map<string, SealLease>();
  const refusals = new Map<TenantId, LeaseRefusal['status']>();
  const asked: Scope[] = [];
  const leaseOf = (tenantId: TenantId, scope: Scope): SealLease => {
    const name = `${tenantId}/${scope.kind}`;
    const secretBytes = testSecret(tenantId, scope.kind);
    const lease = leases.get(name) ?? testLease({ tenantId, scope, secretBytes });
    leases.set(name, lease);
    return lease;
  };
  const answer = (tenantId: TenantId, { scope }: OpenRequest): HeldLease | LeaseRefusal => {
    asked.push(scope);
    const status = refusals.get(tenantId);
    return status === undefined
      ? leaseOf(tenantId, scope)
      : { granted: false, status, scope, incarnation: 1 };
  };
  return {
    leaseOf,
    asked,
    keyClient: {
      leaseForOpen: async (tenantId, requests) =>
        requests.map((request) => answer(tenantId, request)),
    },
    refuse: (tenantId, status) => {
      if (status === undefined) refusals.delete(tenantId);
      else refusals.set(tenantId, status);
    },
  };
}

/** Seals an event into a record, as its owner would. */
export function sealRecord(keys: TestKeys, event: EventToRecord): LogRecord {
  const shape = eventShapes[event.type];
  if (shape === undefined) throw new RangeError(`no event type ${event.type}`);
  const header = {
    tenantId: event.tenantId,
    eventId: randomBytes(16),
    type: event.type,
    streamToken: Buffer.from(event.stream ?? token, 'hex'),
    position: 1n,
    occurredAtMs: BigInt(event.occurredAtMs),
    recordedAtMs: BigInt(event.occurredAtMs + 1_000),
    schemaVersion: event.schemaVersion ?? 1,
    causationId: Buffer.alloc(0),
  };
  const parts = sealEvent({
    shape,
    header,
    parts: splitEvent(shape, Buffer.from(event.eventBytes)),
    leaseOf: ({ kind }) => {
      if (kind === 'facts') return keys.leaseOf(event.tenantId, { kind: 'facts' });
      const streamToken = (event.stream ?? token) as Token;
      const scope = { kind: kind === 'content' ? 'ticket' : 'person', token: streamToken } as const;
      const incarnation = event.incarnation ?? 1;
      return { ...keys.leaseOf(event.tenantId, scope), scope, incarnation };
    },
    contributors:
      event.contributor === undefined ? {} : { requester: Buffer.from(event.contributor, 'hex') },
    randomBytes,
  });
  const nothing = Buffer.alloc(0);
  return { header, parts, clearPayload: nothing, resealed: false, traceContext: nothing };
}
