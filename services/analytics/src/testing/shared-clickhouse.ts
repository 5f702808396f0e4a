import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type ClickHouseClient, createClient } from '@clickhouse/client';
import { createChdbConnection } from 'chdb/connection';
import { openClickHouse, parseClickHouseConfig } from '../ledger/clickhouse-config.ts';

type ClientOptions = NonNullable<Parameters<typeof createClient>[0]>;

/** Runs `make` at the first call; every call gets that one result. */
function once<Result>(make: () => Result): () => Result {
  const made: Result[] = [];
  return () => {
    const first = made[0] ?? make();
    if (made.length === 0) made.push(first);
    return first;
  };
}

const openShared = once((): ClickHouseClient => {
  // The same suites over HTTP, where a contract names a server.
  const { LETHE_TEST_CLICKHOUSE_URL: url, LETHE_TEST_CLICKHOUSE_PASSWORD_FILE: passwordFile } =
    process.env;
  if (url !== undefined && passwordFile !== undefined) {
    const env = { LETHE_CLICKHOUSE_URL: url, LETHE_CLICKHOUSE_PASSWORD_FILE: passwordFile };
    return openClickHouse(parseClickHouseConfig(env), 4);
  }
  const folder = mkdtempSync(path.join(tmpdir(), 'lethe-test-chdb-'));
  // Never closed: a query after the engine's owner ended would hang.
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  // The same bridge as in standalone: chdb's connection type differs from the client's in name only.
  const connection = createChdbConnection({ path: folder }) as unknown as NonNullable<
    ClientOptions['connection']
  >;
  return createClient({ connection });
});

/** The one ClickHouse engine of this test process, in a temporary folder: one folder per process is all chdb can do. */
export function sharedClickHouse(): ClickHouseClient {
  return openShared();
}

/** A database name that nothing else in this process uses, from the name of a test file. */
export function freshDatabase(testName: string): string {
  return `test_${testName.replaceAll(/[^a-z0-9]/g, '_')}_${randomBytes(4).toString('hex')}`;
}
