import { createHash } from 'node:crypto';
import { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { PrivacyEvent, type ScopesErased } from '@lethe/proto/gen/lethe/privacy/v1/events.ts';
import type { TopicName } from '@lethe/proto/topics.ts';
import { type EventId, eventIdBytes, type TenantId, tokenBytes } from '@lethe/platform/ids/ids.ts';
import type { OutboxRow } from '@lethe/platform/outbox/port.ts';
import { encodeScope } from '@lethe/platform/sealing/scope-wire.ts';
import type { Erasure, ErasureChange, Fence } from './domain/erasure.ts';
import { receiptMessageOf } from './receipt-message.ts';

export const privacyTopic: TopicName = 'privacy.v1';

/** One partition: fences, restrictions and settings hold in the order in which they were decided. */
const partition = 0;

type Event = NonNullable<PrivacyEvent['event']>;

/** A privacy event on its way to the outbox. */
export interface EventToPublish {
  readonly tenantId: TenantId;
  /** The tenant itself, or one erasure of it. */
  readonly stream: 'tenant' | { readonly erasureId: string };
  /** Counts the events of the stream from 1. */
  readonly position: number;
  readonly eventId: EventId;
  readonly event: Event;
  /** Read from the clock after the transaction began. */
  readonly recordedAtMs: number;
  /** See lethe.log.v1.Record. */
  readonly traceContext?: Buffer | undefined;
}

/** 16 bytes that stand for a stream of privacy events. Nothing to hide: the record names tenant and erasure. */
function streamToken(tenantId: TenantId, stream: EventToPublish['stream']): Buffer {
  const name = stream === 'tenant' ? 'tenant' : `erasure/${stream.erasureId}`;
  const hash = createHash('sha256').update(`lethe.privacy.stream.v1\u0000${tenantId}\u0000${name}`);
  return hash.digest().subarray(0, 16);
}

/** The event type is the name of its message: the case with a capital letter. */
function typeOf(event: Event): string {
  return event.$case.charAt(0).toUpperCase() + event.$case.slice(1);
}

/** The outbox row of a privacy event: clear, as it carries tokens only. */
export function outboxRowOf(published: EventToPublish): OutboxRow {
  const { tenantId, eventId, event, recordedAtMs } = published;
  const record: LogRecord = {
    header: {
      tenantId,
      eventId: eventIdBytes(eventId),
      type: typeOf(event),
      streamToken: streamToken(tenantId, published.stream),
      position: BigInt(published.position),
      occurredAtMs: BigInt(recordedAtMs),
      recordedAtMs: BigInt(recordedAtMs),
      schemaVersion: 1,
      causationId: Buffer.alloc(0),
    },
    parts: [],
    clearPayload: Buffer.from(PrivacyEvent.encode({ event }).finish()),
    resealed: false,
    traceContext: published.traceContext ?? Buffer.alloc(0),
  };
  const value = LogRecord.encode(record).finish();
  return { kind: 'record', partition, eventId, value, recordedAtMs };
}

export function scopesErasedOf(erasureId: string, fence: Fence): ScopesErased {
  const scopes = fence.scopes.map(({ kind, token, incarnation, cutOffMs }) => {
    const wire = encodeScope({ kind, token });
    return { kind: wire.kind, token: wire.token, incarnation, cutOff: new Date(cutOffMs) };
  });
  return { erasureId, scopes, obligedServices: [...fence.obliged] };
}

/** SHA-256 of the compact JWS as text, which is what ErasureCompleted names. */
function certificateDigest(certificateJws: string): Buffer {
  return createHash('sha256').update(certificateJws, 'ascii').digest();
}

/** What the log is told of a change; the unreadable clock is told with the completion. */
export function eventsOf(erasure: Erasure, change: ErasureChange): Event[] {
  const { erasureId } = erasure;
  switch (change.type) {
    case 'requested': {
      const { ground, personTokens, requestedAtMs } = change.request;
      const erasureRequested = {
        erasureId,
        ground,
        personTokens: personTokens.map(tokenBytes),
        ticketTokens: [],
        requestedAt: new Date(requestedAtMs),
      };
      return [{ $case: 'erasureRequested', value: erasureRequested }];
    }
    case 'fenced':
      return [{ $case: 'scopesErased', value: scopesErasedOf(erasureId, change.fence) }];
    case 'becameUnreadable':
      return [];
    case 'receiptRecorded':
      return [
        {
          $case: 'erasureReceiptRecorded',
          value: { erasureId, ...receiptMessageOf(change.receipt) },
        },
      ];
    case 'completed': {
      const { purgedAtMs, certificateJws } = change.completion;
      const erasureCompleted = {
        erasureId,
        unreadableAt:
          erasure.unreadableAtMs === undefined ? undefined : new Date(erasure.unreadableAtMs),
        purgedAt: new Date(purgedAtMs),
        certificateSha256: certificateDigest(certificateJws),
      };
      return [{ $case: 'erasureCompleted', value: erasureCompleted }];
    }
  }
}
