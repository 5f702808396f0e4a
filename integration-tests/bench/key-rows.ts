import { randomBytes } from 'node:crypto';
import { type Kysely, sql } from 'kysely';
import { migrations } from '@lethe/keys/migrations/migrations.ts';
import { scopeBytes } from '@lethe/keys/store/columns.ts';
import { insertDataKeys } from '@lethe/keys/store/data-keys.ts';
import type { KeysSchema } from '@lethe/keys/store/schema.ts';
import { migrateToLatest } from '@lethe/platform/database/migrate.ts';
import { openAnyTestDatabases } from '@lethe/platform/testing/test-database.ts';
import { tokenFromBytes } from '@lethe/platform/ids/ids.ts';
import { type Figure, figureOf, type Tell } from './figure.ts';
import { combinePairs, median } from './pairs.ts';
import { openRealDatabases, type RealPlaces } from './real-places.ts';

const rowsWanted = 100_000;
const rowsPerStatement = 5_000;
const rowsOfTarget = 10_000_000;
/** A wrapped data key: nonce, 32 bytes, tag. */
const wrappedBytes = 60;

/** On a busy machine fewer rows fit; the figure says how many there were. */
const writeForMs = 15_000;

/** Bytes of a data key's row with its index entries, from 100,000 rows of each kind, extrapolated. */
export async function measureKeyRows(
  names: ReadonlySet<string>,
  tell: Tell,
  real: RealPlaces | undefined,
): Promise<void> {
  const databases = real === undefined ? await openAnyTestDatabases() : openRealDatabases(real);
  for (const kind of ['person', 'ticket'] as const) {
    if (!names.has(`${kind}-keys`)) continue;
    const db = databases.database<KeysSchema>(`bench_${kind}`);
    await migrateToLatest(db, migrations);
    tell(await measureKind(db, kind));
  }
}

async function measureKind(db: Kysely<KeysSchema>, kind: 'person' | 'ticket'): Promise<Figure> {
  const beganMs = performance.now();
  const bytesPerRow: number[] = [];
  let rows = 0;
  while (rows < rowsWanted && performance.now() - beganMs < writeForMs) {
    const page = Array.from({ length: rowsPerStatement }, () => newRow(kind));
    await db.transaction().execute(async (tx) => await insertDataKeys(tx, 1, page));
    rows += page.length;
    bytesPerRow.push((await bytesOf(db, 'data_keys')) / rows);
  }
  await sql`create table bare as select scope, wrapped from data_keys`.execute(db);
  await sql`alter table bare add primary key (scope)`.execute(db);
  // Pages of an index split in waves, so that one moment says little: all moments since it was half as large.
  const since = bytesPerRow.slice(Math.floor((bytesPerRow.length - 1) / 2));
  return keyRowsFigure(kind, rows, since, (await bytesOf(db, 'bare')) / rows);
}

function newRow(kind: 'person' | 'ticket') {
  const token = () => tokenFromBytes(randomBytes(16));
  return {
    scope: scopeBytes({ kind, token: token() }),
    incarnation: 1,
    generation: 1,
    messages: 4_096,
    kib: 65_536,
    createdAtMs: Date.now(),
    keyIdStart: randomBytes(2).readInt16BE(),
    wrapped: randomBytes(wrappedBytes),
    owner: kind === 'ticket' ? { token: token(), incarnation: 1 } : undefined,
  };
}

/** Table, indexes and free space maps, in bytes. */
async function bytesOf(db: Kysely<KeysSchema>, table: string): Promise<number> {
  const { rows } = await sql<{ bytes: bigint }>`
    select pg_total_relation_size(${table}::regclass) as bytes`.execute(db);
  return Number(rows[0]?.bytes ?? 0n);
}

function keyRowsFigure(
  kind: 'person' | 'ticket',
  rows: number,
  bytesPerRow: readonly number[],
  baselineBytes: number,
): Figure {
  const scale = rowsOfTarget / 1e9;
  const owned = kind === 'ticket' ? ' and its owner, which has an index of its own' : '';
  const [least, most] = [Math.min(...bytesPerRow), Math.max(...bytesPerRow)];
  return figureOf(
    {
      name: `${kind}-keys`,
      what: `10 million data keys of ${kind}s, extrapolated`,
      unit: 'GB',
      baselineWhat: 'a table of nothing but scope and wrapped key, freshly indexed',
      target: { sense: 'at most', limit: 2, of: 'measured' },
      notes: [
        `${rows.toLocaleString('en-US')} rows were written in random order; while their number doubled each took ${least.toFixed(0)} to ${most.toFixed(0)} bytes with indexes${owned}, median ${median(bytesPerRow).toFixed(1)}; the rest is multiplication`,
      ],
    },
    combinePairs(
      bytesPerRow.map((bytes) => ({ measured: bytes * scale, baseline: baselineBytes * scale })),
    ),
  );
}
