import { inflateRawSync } from 'node:zlib';

const endSignature = 0x06_05_4b_50;
const entrySignature = 0x02_01_4b_50;
const stored = 0;
const deflated = 8;

/** The bytes of one file of a ZIP archive; for archives below 4 GiB. Throws when it is not there, or packed otherwise. */
export function readZipEntry(archive: Buffer, name: string): Buffer {
  let at = directoryOf(archive);
  while (archive.readUInt32LE(at) === entrySignature) {
    const nameLength = archive.readUInt16LE(at + 28);
    const found = archive.toString('utf8', at + 46, at + 46 + nameLength);
    if (found === name) return unpacked(archive, at, name);
    at += 46 + nameLength + archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32);
  }
  throw new Error(`the archive has no ${name}`);
}

/** Its table of contents stands before its last record. */
function directoryOf(archive: Buffer): number {
  for (let at = archive.length - 22; at >= 0; at -= 1) {
    if (archive.readUInt32LE(at) === endSignature) return archive.readUInt32LE(at + 16);
  }
  throw new Error('this is no ZIP archive');
}

function unpacked(archive: Buffer, entry: number, name: string): Buffer {
  const method = archive.readUInt16LE(entry + 10);
  const size = archive.readUInt32LE(entry + 20);
  const local = archive.readUInt32LE(entry + 42);
  const start = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
  const bytes = archive.subarray(start, start + size);
  if (method === stored) return Buffer.from(bytes);
  if (method === deflated) return inflateRawSync(bytes);
  throw new Error(`${name} is packed by method ${method}, which is not known here`);
}
