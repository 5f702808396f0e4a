/** The fields of a protobuf message, by number, as they lie on the wire: bytes of what has a length, numbers of the rest. */
export interface WireFields {
  /** Each time that the field stands there. */
  messages(field: number): readonly WireFields[];
  text(field: number): string;
  bytes(field: number): Buffer;
  number(field: number): bigint;
  /** Which fields there are. */
  readonly present: ReadonlySet<number>;
}

/** Reads any protobuf message without its schema. Throws RangeError for bytes that are none. */
export function readWire(bytes: Buffer): WireFields {
  const found = new Map<number, (Buffer | bigint)[]>();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined || shift > 63n) throw new RangeError('no varint');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw new RangeError('a field is cut');
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = varint();
    const values = found.get(Number(tag >> 3n)) ?? [];
    found.set(Number(tag >> 3n), values);
    const type = Number(tag & 7n);
    if (type === 0) values.push(varint());
    else if (type === 1) values.push(take(8).readBigUInt64LE());
    else if (type === 2) values.push(take(Number(varint())));
    else if (type === 5) values.push(BigInt(take(4).readUInt32LE()));
    else throw new RangeError(`wire type ${type}`);
  }
  const buffers = (field: number) =>
    (found.get(field) ?? []).filter((value) => typeof value !== 'bigint');
  return {
    messages: (field) => buffers(field).map(readWire),
    text: (field) => buffers(field)[0]?.toString('utf8') ?? '',
    bytes: (field) => buffers(field)[0] ?? Buffer.alloc(0),
    number: (field) => {
      const [value] = found.get(field) ?? [];
      return typeof value === 'bigint' ? value : 0n;
    },
    present: new Set(found.keys()),
  };
}
