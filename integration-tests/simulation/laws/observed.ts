import { eventIdFromBytes, scopeText } from '@lethe/platform/ids/ids.ts';
import { parseScope } from '@lethe/platform/sealing/scope-wire.ts';
import {
  Record as LogRecord,
  type RecordHeader,
  type SealedPart,
} from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { PrivacyEvent, type ScopesErased } from '@lethe/proto/gen/lethe/privacy/v1/events.ts';
import type { MemoryLog } from '../stores/memory-log.ts';

/** A record that was ever on the log. */
export interface ObservedRecord {
  readonly topic: string;
  readonly partition: number;
  readonly sequence: bigint;
  /** Hex of the log's record key. */
  readonly recordKey: string;
  readonly header: RecordHeader;
  /** UUID text. */
  readonly eventId: string;
  /** `<tenant> <token>` */
  readonly stream: string;
  readonly parts: readonly SealedPart[];
  readonly event: PrivacyEvent['event'];
}

/** What the log says happened; the log is the one store that every other is held against. */
export interface Observed {
  readonly records: readonly ObservedRecord[];
  readonly byStream: ReadonlyMap<string, readonly ObservedRecord[]>;
  /** Erasures that were fenced, by id. */
  readonly erasures: ReadonlyMap<string, ObservedErasure>;
}

export interface ObservedErasure extends ScopesErased {
  readonly tenantId: string;
  /** Fenced incarnation by `scopeText`. */
  readonly fenced: ReadonlyMap<string, number>;
}

export function observe(log: MemoryLog): Observed {
  const records = log.history.flatMap(({ topic, partition, entry }): ObservedRecord[] => {
    if (entry.kind !== 'record') return [];
    const { header, parts, clearPayload } = LogRecord.decode(entry.value);
    if (header === undefined) throw new Error('a record without header');
    const event = topic === 'privacy.v1' ? PrivacyEvent.decode(clearPayload).event : undefined;
    return [
      {
        topic,
        partition,
        sequence: entry.sequence,
        recordKey: Buffer.from(entry.eventId).toString('hex'),
        header,
        eventId: eventIdFromBytes(header.eventId),
        stream: `${header.tenantId} ${header.streamToken.toString('hex')}`,
        parts,
        event,
      },
    ];
  });
  const byStream = Map.groupBy(records, ({ topic, stream }) => `${topic} ${stream}`);
  const erasures = new Map<string, ObservedErasure>();
  for (const { header, event } of records) {
    if (event?.$case !== 'scopesErased') continue;
    erasures.set(event.value.erasureId, {
      ...event.value,
      tenantId: header.tenantId,
      fenced: fencedOf(event.value),
    });
  }
  return { records, byStream, erasures };
}

function fencedOf({ scopes }: ScopesErased): ReadonlyMap<string, number> {
  return new Map(
    scopes.flatMap(({ kind, token, incarnation }): [string, number][] => {
      const scope = parseScope(kind, token);
      return scope === undefined ? [] : [[scopeText(scope), incarnation]];
    }),
  );
}

/** `scopeText` of what a part is sealed under. */
export function scopeOfPart({ scopeKind, scopeToken }: SealedPart): string | undefined {
  const scope = parseScope(scopeKind, scopeToken);
  return scope === undefined ? undefined : scopeText(scope);
}
