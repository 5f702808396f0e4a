import { zstdDecompressSync } from 'node:zlib';

/** Methods of a compressed block, as ClickHouse numbers them. */
const methods = { none: 0x02, lz4: 0x82, zstd: 0x90 } as const;
/** Stands before each block. */
const checksumBytes = 16;
/** A block's own: method, its length with this header, its length decompressed. */
const headerBytes = 9;
/** A longer one is no block of ours. */
const plainBytesMax = 16 * 1024 * 1024;

export interface Decompressed {
  /** What the blocks hold, one after the other. */
  readonly plain: Buffer;
  /** Bytes of the file that are neither blocks nor their checksums. */
  readonly otherBytes: number;
}

/**
 * The compressed blocks of a file of ClickHouse, decompressed; they may lie anywhere in it. ClickHouse compresses what
 * it stores, and a search for texts must see through that.
 */
export function decompressBlocks(file: Buffer): Decompressed {
  const parts: Buffer[] = [];
  let otherBytes = 0;
  for (let at = 0; at < file.length;) {
    const block = blockAt(file, at + checksumBytes);
    if (block === undefined) {
      otherBytes += 1;
      at += 1;
    } else {
      parts.push(block.plain);
      at = block.end;
    }
  }
  return { plain: Buffer.concat(parts), otherBytes };
}

interface Block {
  readonly plain: Buffer;
  /** Offset behind it. */
  readonly end: number;
}

function blockAt(file: Buffer, at: number): Block | undefined {
  if (at + headerBytes > file.length) return undefined;
  const end = at + file.readUInt32LE(at + 1);
  const plainBytes = file.readUInt32LE(at + 5);
  if (end < at + headerBytes || end > file.length || plainBytes > plainBytesMax) return undefined;
  const body = file.subarray(at + headerBytes, end);
  try {
    const plain = decompress(file.readUInt8(at), body, plainBytes);
    return plain?.length === plainBytes ? { plain, end } : undefined;
  } catch {
    // Bytes that only look like a header.
    return undefined;
  }
}

function decompress(method: number, body: Buffer, plainBytes: number): Buffer | undefined {
  switch (method) {
    case methods.none:
      return body;
    case methods.lz4:
      return lz4(body, plainBytes);
    case methods.zstd:
      return zstdDecompressSync(body);
    default:
      return undefined;
  }
}

/** One block of LZ4: literals, then a copy of what was written before, again and again; it ends with literals. */
function lz4(input: Buffer, plainBytes: number): Buffer {
  const output = Buffer.alloc(plainBytes);
  let [read, written] = [0, 0];
  const byte = (): number => {
    const value = input.readUInt8(read);
    read += 1;
    return value;
  };
  while (read < input.length) {
    const token = byte();
    const literals = lengthOf(token >>> 4, byte);
    written += input.copy(output, written, read, read + literals);
    read += literals;
    if (read >= input.length) break;
    const distance = byte() + 256 * byte();
    const end = written + lengthOf(token & 15, byte) + 4;
    // Byte by byte: a copy may overlap what it writes.
    for (; written < end; written += 1) {
      output.writeUInt8(output.readUInt8(written - distance), written);
    }
  }
  return output.subarray(0, written);
}

/** A length of 15 goes on in the next bytes, until one is below 255. */
function lengthOf(nibble: number, byte: () => number): number {
  let length = nibble;
  if (nibble < 15) return length;
  for (;;) {
    const more = byte();
    length += more;
    if (more < 255) return length;
  }
}
