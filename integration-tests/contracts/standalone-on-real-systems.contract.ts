import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { startLocalClickHouse } from '../../deploy/local/clickhouse.ts';
import { startLocalBroker, whyNoKafka } from '../../deploy/local/kafka.ts';
import {
  findPostgresBinaries,
  type LocalPostgres,
  startLocalPostgres,
} from '../../deploy/local/postgres.ts';
import { provisionVault } from '../../deploy/local/provisioned-vault.ts';
import { startLocalVault } from '../../deploy/local/vault.ts';
import { leftByTour } from '../harness/left-by-tour.ts';
import { type LetheResult, runLethe, saidError } from '../harness/lethe.ts';
import { createProcessKeeper, type ProcessKeeper } from '../harness/processes.ts';
import { startServer } from '../harness/server.ts';
import { makeFolder, removeFolder } from '../harness/temporary-folder.ts';
import { vaultBinary } from './vault-binary.ts';

const anchor = new Date().toISOString().slice(0, 10);
const helpDesk = ['--events', '2000', '--tenants', '3', '--days', '30', '--anchor', anchor];
const ports = ['--port', '0', '--health-port', '0'];

describe('one process on Kafka, PostgreSQL, ClickHouse over HTTP and Vault', function () {
  this.timeout(600_000);
  const ends: (() => Promise<void>)[] = [];
  let folder: string;
  let keeper: ProcessKeeper;
  let postgres: LocalPostgres;
  /** All four on the command line, and how to log in. */
  let systems: readonly string[];
  let env: Record<string, string>;

  before(async function () {
    const binary = await vaultBinary(process.env['CI'] === 'true');
    const why = binary === undefined ? 'no Vault' : whyNoKafka();
    if (binary === undefined || why !== undefined || findPostgresBinaries() === undefined) {
      console.warn(`SKIPPED: one process on real systems: ${why ?? 'no PostgreSQL'}`);
      assert.notEqual(process.env['CI'], 'true');
      this.skip();
    }
    folder = makeFolder();
    keeper = createProcessKeeper();
    const kafka = await startLocalBroker();
    ends.push(async () => await kafka.remove());
    postgres = await startLocalPostgres({ durable: true });
    ends.push(async () => await postgres.destroy());
    const vault = await startLocalVault({ binary, mode: 'dev' });
    ends.push(async () => await vault.destroy());
    const clickHouse = await startLocalClickHouse();
    ends.push(async () => await clickHouse.destroy());
    console.log(`    Kafka ${kafka.version}, ${postgres.version}, ${vault.version}`);
    const url = `postgresql://lethe@127.0.0.1:${postgres.port}/postgres`;
    systems = ['--kafka', kafka.address, '--postgres', url];
    systems = [...systems, '--vault', vault.address, '--clickhouse', clickHouse.url];
    const {
      LETHE_KEYS_KMS: _,
      LETHE_KEYS_VAULT_ADDRESS: __,
      ...login
    } = await provisionVault(vault);
    env = {
      ...login,
      LETHE_CLICKHOUSE_PASSWORD_FILE: clickHouse.passwordFile,
      // The front over the engine in the process runs one at a time.
      LETHE_ANALYTICS_LEDGER_STATEMENTS_MAX: '1',
    };
  });
  after(async () => {
    await keeper?.stopAll();
    for (const end of ends.toReversed()) await end();
    if (folder !== undefined) removeFolder(folder);
  });
  const data = () => join(folder, 'real');
  const up = async (given: readonly string[], dataFolder = data()): Promise<LetheResult> =>
    await runLethe(keeper, ['up', '--once', '--data', dataFolder, ...given, ...ports], env);
  const refused = async (given: readonly string[], dataFolder: string) => {
    const result = await up([...given, '--json'], dataFolder);
    assert.notEqual(result.exitCode, 0, result.stdout);
    return saidError(result);
  };

  it('tours with the totals and the erasure of the embedded stores', async () => {
    const toured = await up(['--tour', ...helpDesk, ...systems]);
    assert.equal(toured.exitCode, 0, toured.stdout + toured.stderr);
    assert.match(toured.stdout, /totals are equal before and after/);
    assert.match(toured.stdout, /The certificate holds\./);
    for (const each of ['Kafka', 'PostgreSQL', 'Vault', 'ClickHouse']) {
      assert.match(toured.stdout, new RegExp(`serves at .*${each} .*127\\.0\\.0\\.1`));
    }
    assert.doesNotMatch(toured.stderr, /Warning/);
    const files = readdirSync(data());
    for (const file of ['log.sqlite', 'pg', 'keyring.json', 'chdb']) {
      assert.ok(!files.includes(file), `${file} lies in the folder`);
    }
    const embedded = join(folder, 'embedded');
    const standalone = await up(['--tour', ...helpDesk], embedded);
    assert.equal(standalone.exitCode, 0, standalone.stderr);
    assert.deepEqual(leftByTour(data()), leftByTour(embedded));
  });

  it('goes on at the second start with what the first left there', async () => {
    const again = await up(['--tour', ...helpDesk, ...systems]);
    assert.equal(again.exitCode, 0, again.stderr);
    assert.match(again.stdout, /tour of this data folder is completed/);
    assert.match(again.stdout, /created v1 +\d/);
  });

  it('refuses the folder without its systems, and the systems to another folder', async () => {
    const without = await refused([], data());
    assert.equal(without.reason, 'STORES_ELSEWHERE');
    assert.match(without.message, /--kafka.*--postgres.*--vault.*--clickhouse/);
    const [kafka = '', address = '', flag = '', url = ''] = systems;
    const fresh = join(folder, 'fresh');
    const logAlone = await refused([kafka, address], fresh);
    assert.equal(logAlone.reason, 'LOG_AHEAD_OF_TABLE');
    const databaseAlone = await refused([flag, url], join(folder, 'fresh too'));
    assert.equal(databaseAlone.reason, 'SEQUENCE_GAP');
  });

  it('is one alone on a database, and lets go of it when it is killed', async () => {
    const [, brokers = '', , url = '', , vault = '', , clickHouse = ''] = systems;
    const serving = await startServer(keeper, {
      dataFolder: data(),
      logFile: join(folder, 'server.log'),
      env: {
        ...env,
        LETHE_KAFKA_BROKERS: brokers,
        LETHE_POSTGRES_URL: url,
        LETHE_KEYS_KMS: 'vault',
        LETHE_KEYS_VAULT_ADDRESS: vault,
        LETHE_CLICKHOUSE_URL: clickHouse,
      },
    });
    const second = await refused(systems, join(folder, 'second'));
    assert.equal(second.reason, 'SYSTEM_UNUSABLE');
    assert.match(second.message, /--postgres.*another process of Lethe/);
    await serving.killNine();
    const after = await up(systems);
    assert.equal(after.exitCode, 0, after.stderr);
  });

  it('names the flag of a system that is away or refuses, and what to do', async () => {
    const nobody = '127.0.0.1:1';
    const wrong: readonly (readonly [given: readonly string[], says: RegExp])[] = [
      [['--kafka', nobody], /^--kafka 127\.0\.0\.1:1: no Kafka broker answers/],
      [['--postgres', `postgres://lethe@${nobody}/postgres`], /^--postgres .*: no PostgreSQL/],
      [
        ['--postgres', `postgres://lethe@127.0.0.1:${postgres.port}/nowhere`],
        /^--postgres .*no such database/,
      ],
      [
        ['--postgres', `postgres://nobody@127.0.0.1:${postgres.port}/postgres`],
        /^--postgres .*refuses the login/,
      ],
      [['--vault', `http://127.0.0.1:${postgres.port}`], /^--vault .*does not answer/],
      [['--clickhouse', `http://127.0.0.1:${postgres.port}`], /^--clickhouse .*no ClickHouse/],
    ];
    for (const [given, says] of wrong) {
      const away = join(folder, 'away');
      const { reason, message } = await refused(given, away);
      assert.equal(reason, 'SYSTEM_UNUSABLE', message);
      assert.match(message, says);
      assert.ok(!existsSync(join(away, 'stores.json')), 'nothing was settled');
    }
    const wrongFile = { ...env, LETHE_CLICKHOUSE_PASSWORD_FILE: join(data(), 'version.json') };
    const [clickHouse = '', url = ''] = systems.slice(-2);
    const given = ['up', '--once', '--json', '--data', join(folder, 'away'), ...ports];
    const login = await runLethe(keeper, [...given, clickHouse, url], wrongFile);
    assert.match(saidError(login).message, /^--clickhouse .*LETHE_CLICKHOUSE_PASSWORD_FILE/);
  });
});
