import assert from 'node:assert/strict';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { z } from 'zod';
import { freshDatabase, sharedClickHouse } from '../testing/shared-clickhouse.ts';
import { createLedger } from './ledger.ts';
import { freshLedgerDdl, ledgerDdl } from './table-ddl.ts';
import {
  commandSettings,
  insertSettings,
  type LedgerTopology,
  querySettings,
  singleServer,
} from './topology.ts';

const replicated: LedgerTopology = { kind: 'replicated', cluster: 'lethe' };

describe("the ledger's tables", function () {
  this.timeout(30_000);
  const client = sharedClickHouse();
  const ledgerIn = (database: string, topology: LedgerTopology = singleServer) =>
    createLedger({ client, database, statementsMax: 1, topology });
  const violationsOf = async (work: Promise<void>): Promise<readonly string[]> => {
    try {
      await work;
    } catch (error) {
      assert.ok(error instanceof ServiceError && error.reason === 'CONFIG_INVALID', String(error));
      return error.violations.map(({ field }) => field);
    }
    return [];
  };

  it('are as they must be once they were created, and all missing before', async () => {
    const database = freshDatabase('tables');
    const ledger = ledgerIn(database);
    const missing = await violationsOf(ledger.checkTables());
    assert.equal(missing.length, ledgerDdl(database).length - 1);
    await ledger.createTables();
    assert.deepEqual(await violationsOf(ledger.checkTables()), []);
  });

  it('are found out when somebody changed them, each by its name', async () => {
    const database = freshDatabase('changed');
    const ledger = ledgerIn(database);
    await ledger.createTables();
    const change = (statement: string) => client.command({ query: statement });
    await change(`ALTER TABLE ${database}.csat DROP COLUMN exact_responses`);
    await change(`ALTER TABLE ${database}.csat MODIFY COLUMN late_responses UInt32`);
    await change(`ALTER TABLE ${database}.csat ADD COLUMN note UInt8`);
    await change(`DROP TABLE ${database}.usage`);
    await change(
      `CREATE TABLE ${database}.usage (tenant_id String) ENGINE = MergeTree ORDER BY ()`,
    );
    const found = await violationsOf(ledger.checkTables());
    assert.deepEqual(found.slice(0, 5), [
      `${database}.csat.exact_responses`,
      `${database}.csat.late_responses`,
      `${database}.usage engine`,
      `${database}.usage ORDER BY`,
      `${database}.usage PARTITION BY`,
    ]);
    assert.ok(found.includes(`${database}.usage.tenant_id`));
  });

  it('must be replicated where the configuration says so: one server alone is not taken for a cluster', async () => {
    const database = freshDatabase('alone');
    await ledgerIn(database).createTables();
    const found = await violationsOf(ledgerIn(database, replicated).checkTables());
    assert.ok(found.length > 0 && found.every((field) => field.endsWith(' engine')), found.join());
  });

  it('differ between a server and a cluster in place and engine alone', () => {
    const path = `ReplicatedReplacingMergeTree('/clickhouse/lethe/{uuid}/{shard}', '{replica}')`;
    const back = (statement: string) =>
      statement.replace(' ON CLUSTER lethe', '').replace(path, 'ReplacingMergeTree');
    const statements = ledgerDdl('ledger', replicated);
    assert.ok(statements.every((statement) => statement.includes(' ON CLUSTER lethe')));
    assert.deepEqual(statements.map(back), ledgerDdl('ledger'));
    const fresh = freshLedgerDdl('ledger', (name) => `${name}_new`, replicated);
    assert.ok(fresh.every((statement) => statement.includes(path)));
  });

  it('are written and read with settings that the engine knows', async () => {
    const names = [insertSettings, querySettings, commandSettings].flatMap((settings) => [
      ...Object.keys(settings(singleServer)),
      ...Object.keys(settings(replicated)),
    ]);
    const wanted = [...new Set(names)].toSorted();
    const result = await client.query({
      query:
        'SELECT name FROM system.settings WHERE has({names:Array(String)}, name) ORDER BY name',
      query_params: { names: wanted },
      format: 'JSONEachRow',
    });
    const known = z.array(z.object({ name: z.string() })).parse(await result.json());
    assert.deepEqual(
      known.map(({ name }) => name),
      wanted,
    );
  });

  it('take inserts at once, and again what the server has had before', () => {
    for (const topology of [singleServer, replicated]) {
      const { async_insert: isAsync, insert_deduplicate: isDeduplicated } =
        insertSettings(topology);
      assert.deepEqual([isAsync, isDeduplicated], [0, 0]);
    }
    assert.equal(insertSettings(replicated)['insert_quorum'], 'auto');
    assert.equal(insertSettings(replicated)['insert_quorum_parallel'], 0);
    assert.equal(querySettings(replicated)['select_sequential_consistency'], 1);
  });
});
