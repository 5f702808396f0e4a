/** One way in which a text may have been written. */
export interface Spelling {
  /** Such as "utf8" or "base64". */
  readonly name: string;
  readonly bytes: Buffer;
}

/**
 * The ways in which a text may lie in a file: as it is, in UTF-16, base64 (at each of its three alignments), hex,
 * backwards, and with JSON's or URLs' escapes. Each is at least as long as 12 bytes of the text.
 */
export function spellingsOf(text: string): readonly Spelling[] {
  const bytes = Buffer.from(text);
  const utf16 = Buffer.from(text, 'utf16le');
  const base64 = [0, 1, 2].flatMap((skipped) => base64At(bytes, skipped));
  const escaped = Array.from(text, jsonEscape).join('');
  const percent = encodeURIComponent(text);
  return [
    { name: 'utf8', bytes },
    // Without the last byte it is found in UTF-16BE as well, whose text is the same one byte later.
    { name: 'utf16', bytes: utf16.subarray(0, -1) },
    ...base64,
    { name: 'hex', bytes: Buffer.from(bytes.toString('hex')) },
    { name: 'hex', bytes: Buffer.from(bytes.toString('hex').toUpperCase()) },
    { name: 'backwards', bytes: Buffer.from(bytes).reverse() },
    ...(escaped === text ? [] : [{ name: 'json', bytes: Buffer.from(escaped) }]),
    ...(percent === text ? [] : [{ name: 'url', bytes: Buffer.from(percent) }]),
  ];
}

/** What is left of the text when its first bytes share a group of three with what stands before it. */
function base64At(bytes: Buffer, skipped: number): readonly Spelling[] {
  const length = Math.floor((bytes.length - skipped) / 3) * 3;
  const plain = bytes.subarray(skipped, skipped + length).toString('base64');
  const url = plain.replaceAll('+', '-').replaceAll('/', '_');
  const spelling = (text: string) => ({ name: 'base64', bytes: Buffer.from(text) });
  return plain === url ? [spelling(plain)] : [spelling(plain), spelling(url)];
}

function jsonEscape(character: string): string {
  return /^[\x20-\x7e]$/.test(character)
    ? JSON.stringify(character).slice(1, -1)
    : utf16Escape(character);
}

function utf16Escape(character: string): string {
  return Array.from({ length: character.length }, (_, index) => {
    const unit = character.charCodeAt(index);
    return `\\u${unit.toString(16).padStart(4, '0')}`;
  }).join('');
}

/** Where a text was found. */
export interface Found {
  readonly text: string;
  readonly spelling: string;
  readonly offset: number;
}

/** Looks for many texts at once. */
export interface ByteSearch {
  /** Every place at which any of the texts lies. */
  in(bytes: Buffer): readonly Found[];
}

/** Bytes of every spelling by which it is looked up. */
const windowBytes = 12;
/** A megabyte: larger would leave the processor's cache, smaller would let more through. */
const filterBits = 2 ** 23;
const factor = 0x01000193;

interface Pattern {
  readonly text: string;
  readonly spelling: Spelling;
}

/**
 * Rabin and Karp: a rolling hash over a window of 12 bytes, a bit filter, and then the comparison itself. One pass over
 * the bytes, whatever the number of texts. Texts must have 16 bytes at least.
 */
export function createByteSearch(texts: Iterable<string>): ByteSearch {
  const byHash = new Map<number, Pattern[]>();
  const filter = new Uint8Array(filterBits / 8);
  for (const text of texts) {
    if (Buffer.byteLength(text) < 16) throw new RangeError('a text to search for has 16 bytes');
    for (const spelling of spellingsOf(text)) {
      const hash = hashOf(spelling.bytes);
      const bit = hash % filterBits;
      filter[bit >>> 3] = (filter[bit >>> 3] ?? 0) | (1 << (bit & 7));
      byHash.set(hash, [...(byHash.get(hash) ?? []), { text, spelling }]);
    }
  }
  return { in: (bytes) => search(bytes, filter, byHash) };
}

function hashOf(bytes: Buffer): number {
  let hash = 0;
  for (const byte of bytes.subarray(0, windowBytes)) hash = (Math.imul(hash, factor) + byte) | 0;
  return hash >>> 0;
}

function search(
  bytes: Buffer,
  filter: Uint8Array,
  byHash: ReadonlyMap<number, readonly Pattern[]>,
): readonly Found[] {
  const found: Found[] = [];
  let leaving = 1;
  for (let index = 0; index < windowBytes; index += 1) leaving = Math.imul(leaving, factor);
  let hash = 0;
  for (let end = 0; end < bytes.length; end += 1) {
    const start = end - windowBytes;
    hash = (Math.imul(hash, factor) + (bytes[end] ?? 0)) | 0;
    if (start >= 0) hash = (hash - Math.imul(bytes[start] ?? 0, leaving)) | 0;
    const bit = (hash >>> 0) % filterBits;
    if (((filter[bit >>> 3] ?? 0) & (1 << (bit & 7))) === 0) continue;
    const offset = start + 1;
    for (const { text, spelling } of byHash.get(hash >>> 0) ?? []) {
      const here = bytes.subarray(offset, offset + spelling.bytes.length);
      if (here.equals(spelling.bytes)) found.push({ text, spelling: spelling.name, offset });
    }
  }
  return found;
}
