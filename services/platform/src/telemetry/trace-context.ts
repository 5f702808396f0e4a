/** Which span something was done in: what a call carries to a peer and a record over the log. Random numbers, no more. */
export interface TraceContext {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits. */
  readonly spanId: string;
}

const traceIdBytes = 16;
const contextBytes = 24;

/** For lethe.log.v1.Record: trace id and span id, 24 bytes. Only sampled contexts are written. */
export function encodeTraceContext({ traceId, spanId }: TraceContext): Buffer {
  return Buffer.from(traceId + spanId, 'hex');
}

/** Undefined for no context: empty, of another length, or with an id of zeros. */
export function parseTraceContext(bytes: Uint8Array): TraceContext | undefined {
  if (bytes.length !== contextBytes) return undefined;
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
  return contextOf(hex.slice(0, traceIdBytes * 2), hex.slice(traceIdBytes * 2));
}

const traceparentForm = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** A W3C traceparent that says "sampled"; undefined for any other text. */
export function parseTraceparent(text: string): TraceContext | undefined {
  const [, traceId = '', spanId = '', flags = ''] = traceparentForm.exec(text) ?? [];
  const isSampled = (Number.parseInt(flags, 16) & 1) === 1;
  return isSampled ? contextOf(traceId, spanId) : undefined;
}

export function encodeTraceparent({ traceId, spanId }: TraceContext): string {
  return `00-${traceId}-${spanId}-01`;
}

function contextOf(traceId: string, spanId: string): TraceContext | undefined {
  return /^0*$/.test(traceId) || /^0*$/.test(spanId) ? undefined : { traceId, spanId };
}

/** Protobuf: field 5 of lethe.log.v1.Record, length-delimited. */
const traceContextTag = (5 << 3) | 2;

/**
 * The trace context of an encoded lethe.log.v1.Record, without decoding the rest: its fields are passed over by their
 * lengths. Undefined when there is none, or for bytes that are no record.
 */
export function traceContextOfRecord(record: Uint8Array): TraceContext | undefined {
  let at = 0;
  while (at < record.length) {
    const tag = record[at] ?? 0;
    at += 1;
    if ((tag & 7) === 0) {
      while ((record[at] ?? 0) > 0x7f) at += 1;
      at += 1;
      continue;
    }
    if ((tag & 7) !== 2 || tag > 0x7f) return undefined;
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = record[at] ?? 0;
      at += 1;
      length += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
      if (shift > 28) return undefined;
    }
    if (tag === traceContextTag) return parseTraceContext(record.subarray(at, at + length));
    at += length;
  }
  return undefined;
}
