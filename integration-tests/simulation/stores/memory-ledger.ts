import type { ClickHouseClient } from '@clickhouse/client';

/** What befalls an insert. */
export type InsertFate = 'answered' | 'answer-lost' | 'never-arrived';

export interface LedgerAccess {
  pass<Result>(label: string, run: () => Result): Promise<Result>;
  insertFate(): InsertFate;
}

/** A row as ClickHouse would keep it. */
export type LedgerLine = Readonly<Record<string, string>>;

/** The tables of cells, which outlive every process of analytics. */
export interface MemoryLedger {
  accessFor(access: LedgerAccess): ClickHouseClient;
  /** What an insert does. */
  store(table: string, body: string): void;
  /** By table, what FINAL would answer. */
  lines(): ReadonlyMap<string, readonly LedgerLine[]>;
}

/**
 * A ReplacingMergeTree in memory: rows of one key replace each other. The key is every column that is no measure, as in
 * table-ddl.ts; `keyColumnsOf` says which these are. Queries are not
 * simulated.
 */
export function createMemoryLedger(
  keyColumnsOf: (table: string) => readonly string[],
): MemoryLedger {
  const tables = new Map<string, Map<string, LedgerLine>>();
  const store = (table: string, body: string): void => {
    const [head = '', ...rows] = body.split('\n').filter((line) => line !== '');
    const columns = head.split('\t');
    const known = tables.get(table) ?? new Map<string, LedgerLine>();
    tables.set(table, known);
    for (const row of rows) {
      const values = row.split('\t');
      const line = Object.fromEntries(columns.map((name, index) => [name, values[index] ?? '']));
      known.set(
        keyColumnsOf(table)
          .map((name) => line[name])
          .join('\t'),
        line,
      );
    }
  };
  const insert = async (
    access: LedgerAccess,
    { table, values }: { readonly table: string; readonly values: AsyncIterable<Uint8Array> },
  ): Promise<void> => {
    const parts: Uint8Array[] = [];
    for await (const part of values) parts.push(part);
    await access.pass(`insert ${table}`, () => {
      const fate = access.insertFate();
      if (fate === 'never-arrived') throw new Error('the aggregate store did not answer');
      store(table.split('.').at(-1) ?? table, Buffer.concat(parts).toString());
      if (fate === 'answer-lost') throw new Error('the aggregate store did not answer');
    });
  };
  return {
    store,
    lines: () => new Map([...tables].map(([table, rows]) => [table, [...rows.values()]])),
    accessFor: (access) =>
      ({
        command: async () => {},
        // A start asks which tables an unfinished rebuild left behind.
        query: async ({ query }: { query: string }) => {
          if (!query.includes('system.tables')) throw new RangeError(`not simulated: ${query}`);
          return { json: async () => [] };
        },
        insert: async (given: { table: string; values: AsyncIterable<Uint8Array> }) =>
          insert(access, given),
      }) as unknown as ClickHouseClient,
  };
}
