import { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { isTenantId } from '../ids/ids.ts';

/** Which stream a record belongs to, as far as its clear header says. */
export interface StreamName {
  /** Empty when the header cannot be read. */
  readonly tenantId: string;
  /** The token in hex, or "record-" and the record key: then the record is a stream of its own. */
  readonly stream: string;
  /** Of the stream; 0 when no part of the record says it. */
  readonly incarnation: number;
}

/** Within one partition; the incarnation is left out, as its events follow each other there. */
export function streamText({ tenantId, stream }: Omit<StreamName, 'incarnation'>): string {
  return `${tenantId}/${stream}`;
}

/** Also tells incarnations apart: erasure touches those up to its own. */
export function incarnationText(name: StreamName): string {
  return `${streamText(name)}/${name.incarnation}`;
}

/**
 * A record whose header cannot be read, or names no tenant or stream, has no stream that anything could follow: it is
 * parked under its record key, alone. An erasure does not find it by scope; the tombstone record does, by that key.
 */
export function streamNameOf(record: LogRecord | undefined, recordKey: Uint8Array): StreamName {
  const header = record?.header;
  const alone = `record-${Buffer.from(recordKey).toString('hex')}`;
  if (header === undefined || !isTenantId(header.tenantId)) {
    return { tenantId: '', stream: alone, incarnation: 0 };
  }
  const { tenantId, streamToken } = header;
  if (streamToken.length !== 16) return { tenantId, stream: alone, incarnation: 0 };
  const own = record?.parts.find((part) => Buffer.compare(part.scopeToken, streamToken) === 0);
  const stream = streamToken.toString('hex');
  return { tenantId, stream, incarnation: own?.incarnation ?? 0 };
}

/** Undefined when the bytes are no record. */
export function decodeParked(value: Uint8Array): LogRecord | undefined {
  try {
    return LogRecord.decode(value);
  } catch {
    // What the decoder says of the bytes adds nothing to "no record".
    return undefined;
  }
}
