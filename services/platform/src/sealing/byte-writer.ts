/**
 * Writes the one binary encoding that everything keyed or authenticated uses (docs/sealing-format.md): integers
 * big-endian, everything of variable length behind its length as 4 bytes, so that no two inputs give the same bytes.
 */
export interface ByteWriter {
  /** 4 bytes of length, then the bytes; text as UTF-8. */
  sized(value: string | Uint8Array): ByteWriter;
  /** The bytes as they are: for what is already in this encoding. */
  raw(value: Uint8Array): ByteWriter;
  u8(value: number): ByteWriter;
  u32(value: number): ByteWriter;
  u64(value: bigint): ByteWriter;
  i64(value: bigint): ByteWriter;
  /** What was written; the writer is not used after it. */
  bytes(): Buffer;
}

/** A writer that starts with `capacityBytes` and grows as needed. */
export function createByteWriter(capacityBytes = 512): ByteWriter {
  let buffer = Buffer.allocUnsafe(capacityBytes);
  let length = 0;
  const reserve = (sizeBytes: number): number => {
    const at = length;
    length += sizeBytes;
    if (length > buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(length, buffer.length * 2));
      buffer.copy(grown, 0, 0, at);
      buffer = grown;
    }
    return at;
  };
  const writer: ByteWriter = {
    sized(value) {
      const sizeBytes = typeof value === 'string' ? Buffer.byteLength(value) : value.length;
      const at = reserve(4 + sizeBytes);
      buffer.writeUInt32BE(sizeBytes, at);
      if (typeof value === 'string') buffer.write(value, at + 4, 'utf8');
      else buffer.set(value, at + 4);
      return writer;
    },
    raw(value) {
      const at = reserve(value.length);
      buffer.set(value, at);
      return writer;
    },
    u8(value) {
      const at = reserve(1);
      buffer.writeUInt8(value, at);
      return writer;
    },
    u32(value) {
      const at = reserve(4);
      buffer.writeUInt32BE(value, at);
      return writer;
    },
    u64(value) {
      const at = reserve(8);
      buffer.writeBigUInt64BE(value, at);
      return writer;
    },
    i64(value) {
      const at = reserve(8);
      buffer.writeBigInt64BE(value, at);
      return writer;
    },
    bytes: () => buffer.subarray(0, length),
  };
  return writer;
}
