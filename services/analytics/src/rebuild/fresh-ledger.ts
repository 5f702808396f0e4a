import { z } from 'zod';
import { families } from '../domain/families.ts';
import type { LedgerStatements } from '../ledger/ledger.ts';
import { freshLedgerDdl } from '../ledger/table-ddl.ts';
import { onCluster } from '../ledger/topology.ts';
import type { StoredInsert } from './chunks.ts';

const workPrefix = 'rebuild_';

/** The fresh table of a family. */
export function freshOf(family: string): string {
  return `${workPrefix}${family}`;
}

export async function createFreshLedger(statements: LedgerStatements): Promise<void> {
  const { database, topology } = statements;
  for (const text of freshLedgerDdl(database, freshOf, topology)) await statements.command(text);
}

/** Answers whether there was any. */
export async function dropFreshLedger(statements: LedgerStatements): Promise<boolean> {
  const there = await freshTables(statements);
  for (const name of there) {
    const { database, topology } = statements;
    await statements.command(`DROP TABLE IF EXISTS ${database}.${name}${onCluster(topology)} SYNC`);
  }
  return there.length > 0;
}

const namesSchema = z.array(z.object({ name: z.string() }));

/** The work tables that exist, of families of ours alone. */
export async function freshTables(statements: LedgerStatements): Promise<readonly string[]> {
  const rows = await statements.rows(
    `SELECT name FROM system.tables WHERE database = {database:String} AND name IN {names:Array(String)}`,
    { database: statements.database, names: families.map(({ name }) => freshOf(name)) },
  );
  return namesSchema.parse(rows).map(({ name }) => name);
}

/**
 * Exchanges live and fresh tables, one family after the other, each at once. If the process dies between two, some
 * families are rebuilt and some are not, and the work tables hold what the live ones held: see `recoverLedger`.
 */
export async function exchangeLedger(statements: LedgerStatements): Promise<void> {
  const { database, topology } = statements;
  for (const { name } of families) {
    await statements.command(
      `EXCHANGE TABLES ${database}.${freshOf(name)} AND ${database}.${name}${onCluster(topology)}`,
    );
  }
}

const idsSchema = z.array(z.object({ manifest_id: z.string() }));

/** Manifests of which a work table has rows and the live one has none. */
export async function strandedManifests(statements: LedgerStatements): Promise<readonly string[]> {
  const there = new Set(await freshTables(statements));
  const stranded = new Set<string>();
  for (const { name } of families) {
    if (!there.has(freshOf(name))) continue;
    const { database } = statements;
    const rows = await statements.rows(
      `SELECT DISTINCT toString(manifest_id) AS manifest_id FROM ${database}.${freshOf(name)}
       WHERE manifest_id NOT IN (SELECT manifest_id FROM ${database}.${name})`,
    );
    for (const row of idsSchema.parse(rows)) stranded.add(row.manifest_id);
  }
  return [...stranded];
}

/** Rows for the fresh tables, collected so that a thousand chunks are some dozens of inserts. */
export interface FreshInserts {
  add(chunk: string, inserts: readonly Pick<StoredInsert, 'family' | 'month' | 'body'>[]): void;
  readonly bytes: number;
  /** Inserts what was collected; answers the chunks that are in the tables now. */
  flush(): Promise<readonly string[]>;
}

interface Collected {
  readonly table: string;
  readonly header: string;
  readonly bodies: Buffer[];
}

export function createFreshInserts(statements: LedgerStatements): FreshInserts {
  let chunks: string[] = [];
  let groups = new Map<string, Collected>();
  let bytes = 0;
  return {
    get bytes() {
      return bytes;
    },
    add: (chunk, inserts) => {
      chunks.push(chunk);
      for (const { family, month, body } of inserts) {
        // The columns stand in the first line; a family that grew one has bodies with two kinds of first line.
        const end = body.indexOf('\n') + 1;
        const header = body.subarray(0, end).toString();
        const group = groups.get(`${family}/${month}/${header}`);
        const rows = body.subarray(end);
        if (group === undefined) {
          const table = freshOf(family);
          groups.set(`${family}/${month}/${header}`, { table, header, bodies: [rows] });
        } else group.bodies.push(rows);
        bytes += rows.length;
      }
    },
    flush: async () => {
      const flushed = chunks;
      const collected = [...groups.values()];
      chunks = [];
      groups = new Map();
      bytes = 0;
      for (const { table, header, bodies } of collected) {
        await statements.insert(table, Buffer.concat([Buffer.from(header), ...bodies]));
      }
      return flushed;
    },
  };
}
