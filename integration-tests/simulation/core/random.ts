/** Reproducible randomness: everything that a run decides comes out of its seed. Not for secrets. */
export interface Random {
  /** From 0 to below 1. */
  next(): number;
  /** A whole number from 0 to below `below`. */
  whole(below: number): number;
  /** True in this share of the cases. */
  chance(share: number): boolean;
  pick<Item>(items: readonly Item[]): Item;
  bytes(sizeBytes: number): Buffer;
}

/** sfc32 (PractRand), 128 bits of state seeded from a text by FNV-1a. */
export function createRandom(seedText: string): Random {
  let [a, b, c] = [hashOf(seedText, 1), hashOf(seedText, 2), hashOf(seedText, 3)];
  let counter = 1;
  const word = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let warmUp = 0; warmUp < 12; warmUp += 1) word();
  const next = (): number => word() / 0x1_0000_0000;
  const whole = (below: number): number => Math.floor(next() * below);
  return {
    next,
    whole,
    chance: (share) => next() < share,
    pick: (items) => {
      const found = items[whole(items.length)];
      if (found === undefined) throw new RangeError('nothing to pick from');
      return found;
    },
    bytes: (sizeBytes) => {
      const bytes = Buffer.allocUnsafe(sizeBytes);
      for (let at = 0; at < sizeBytes; at += 4) {
        const value = word();
        for (let byte = 0; byte < 4 && at + byte < sizeBytes; byte += 1) {
          bytes[at + byte] = (value >>> (byte * 8)) & 0xff;
        }
      }
      return bytes;
    },
  };
}

/** FNV-1a over a text, with a start of one's own; 32 bits. */
export function hashOf(text: string, start: number): number {
  let hash = (0x811c_9dc5 ^ Math.imul(start, 0x9e37_79b1)) | 0;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x0100_0193);
  }
  return hash >>> 0;
}
