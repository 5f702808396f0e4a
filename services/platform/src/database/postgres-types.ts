import { types } from 'pg';

const int8 = 20;
const int8Array = 1016;
const bytea = 17;

type TextParser = (text: string) => unknown;

/** One dimension, as all of ours are: `{1,NULL,3}`. */
function int8ArrayOf(text: string): (bigint | null)[] {
  const inside = text.slice(1, -1);
  if (inside === '') return [];
  return inside.split(',').map((element) => (element === 'NULL' ? null : BigInt(element)));
}

const parsers: ReadonlyMap<number, TextParser> = new Map<number, TextParser>([
  [bytea, (text) => Buffer.from(text.slice(2), 'hex')],
  [int8, BigInt],
  [int8Array, int8ArrayOf],
]);

/**
 * How columns come back, the same as from PGlite (see pglite.ts): bytea as Buffer, int8 (so also count(*)) as bigint
 * always, arrays of both alike; numeric stays text.
 */
export const postgresTypes = {
  getTypeParser: (oid: number, format?: 'text' | 'binary'): TextParser => {
    const own = format === 'binary' ? undefined : parsers.get(oid);
    if (own !== undefined) return own;
    const parse: TextParser = types.getTypeParser(oid, 'text');
    return parse;
  },
};
