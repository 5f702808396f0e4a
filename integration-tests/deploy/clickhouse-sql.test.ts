import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createLedger } from '@lethe/analytics/ledger/ledger.ts';
import { sharedClickHouse } from '@lethe/analytics/testing/shared-clickhouse.ts';
import { sqlFiles, statementsOf } from '../../deploy/clickhouse/sql-files.ts';

const folder = new URL('../../deploy/clickhouse/', import.meta.url);
const textOf = (name: string): string => readFileSync(new URL(name, folder), 'utf8');

describe('SQL for ClickHouse', function () {
  this.timeout(60_000);
  const client = sharedClickHouse();
  /** The engine's own parser and printer. Throws what it says to a statement that is none. */
  const formatted = async (statement: string): Promise<string> => {
    const result = await client.query({
      query: 'SELECT formatQuerySingleLine({statement:String}) AS text',
      query_params: { statement },
      format: 'JSONEachRow',
    });
    const [row] = await result.json<{ readonly text: string }>();
    return row?.text ?? '';
  };

  it('is in the files as the code writes it', () => {
    for (const [name, text] of sqlFiles()) {
      assert.equal(textOf(name), text, `run "node deploy/clickhouse/write-sql.ts" for ${name}`);
    }
  });

  it('makes the tables that analytics expects, on the engine, and may run again', async () => {
    const statements = statementsOf(textOf('ledger.sql'));
    try {
      for (const statement of [...statements, ...statements]) {
        await client.command({ query: statement });
      }
      const ledger = createLedger({ client, database: 'ledger', statementsMax: 1 });
      await ledger.checkTables();
    } finally {
      for (const database of ['ledger', 'released']) {
        await client.command({ query: `DROP DATABASE IF EXISTS ${database} SYNC` });
      }
    }
  });

  it('is read by the engine, also what only a server can run', async () => {
    for (const name of sqlFiles().keys()) {
      for (const statement of statementsOf(textOf(name))) {
        const text = await formatted(statement);
        const isCluster = name.includes('-cluster');
        assert.equal(text.includes('ON CLUSTER lethe'), isCluster, `${name}: ${text}`);
      }
    }
    await assert.rejects(
      formatted('GRANT EVERYTHING ON ledger.* TO lethe_analyst'),
      /Syntax error/,
    );
  });

  it('names limits that the engine has', async () => {
    const profiles = statementsOf(textOf('access.sql')).filter((text) => text.includes('PROFILE'));
    const names = profiles.flatMap((text) =>
      [...text.matchAll(/^ {2}([a-z_]+) = /gm)].map(([, name = '']) => name),
    );
    assert.ok(names.length > 10);
    const result = await client.query({
      query: 'SELECT name FROM system.settings WHERE has({names:Array(String)}, name)',
      query_params: { names },
      format: 'JSONEachRow',
    });
    const known = await result.json<{ readonly name: string }>();
    assert.deepEqual(known.map(({ name }) => name).toSorted(), [...new Set(names)].toSorted());
  });

  for (const name of ['access.sql', 'access-cluster.sql']) {
    it(`gives analysts what is released and nothing else, and nobody else too much (${name})`, () => {
      const granted = statementsOf(textOf(name)).flatMap((text) => {
        const [, rights = '', to = ''] =
          /^GRANT(?: ON CLUSTER \w+)? (.* ON .*) TO (\w+)$/.exec(text) ?? [];
        return rights === '' ? [] : [`${to}: ${rights}`];
      });
      assert.deepEqual(
        granted.filter((line) => !line.startsWith('lethe_schema')),
        [
          'lethe_writer: SELECT, INSERT ON ledger.*',
          'lethe_writer: SELECT, INSERT ON released.*',
          'lethe_analyst: SELECT ON released.*',
        ],
      );
    });
  }

  it('makes users whom nobody can log in as', () => {
    for (const name of ['access.sql', 'access-cluster.sql']) {
      const users = statementsOf(textOf(name)).filter((text) => text.startsWith('CREATE USER'));
      assert.equal(users.length, 3);
      for (const user of users) assert.match(user, /sha256_hash BY '0{64}' HOST NONE/);
    }
  });

  it('is printed for a cluster of another name, and for none that is no name', () => {
    const command = fileURLToPath(new URL('write-sql.ts', folder));
    const run = (cluster: string) => {
      const args = [command, '--cluster', cluster, '--print', 'ledger-cluster.sql'];
      return spawnSync(process.execPath, args, { encoding: 'utf8' });
    };
    assert.match(run('north').stdout, /CREATE DATABASE IF NOT EXISTS ledger ON CLUSTER north;/);
    assert.notEqual(run('a; DROP').status, 0);
  });
});
