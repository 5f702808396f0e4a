import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import {
  openClickHouse,
  parseClickHouseConfig,
} from '@lethe/analytics/ledger/clickhouse-config.ts';
import { createLedger } from '@lethe/analytics/ledger/ledger.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { type LocalClickHouse, startLocalClickHouse } from '../../deploy/local/clickhouse.ts';
import { runMocha } from './run-mocha.ts';

/** Every suite of analytics that works on ClickHouse. */
const suites = ['services/analytics/src/**/*.test.ts'];

describe('ClickHouse over HTTP: the in-process engine behind a front', function () {
  // Hundreds of tests in one: minutes on an idle machine, more than ten beside much else.
  this.timeout(1_200_000);
  let clickHouse: LocalClickHouse;
  before(async () => {
    clickHouse = await startLocalClickHouse();
  });
  after(async () => await clickHouse?.destroy());
  const clientWith = (passwordFile: string) =>
    openClickHouse(
      parseClickHouseConfig({
        LETHE_CLICKHOUSE_URL: clickHouse.url,
        LETHE_CLICKHOUSE_PASSWORD_FILE: passwordFile,
      }),
      2,
    );
  const ledgerOver = (client: ReturnType<typeof clientWith>) =>
    createLedger({ client, database: 'nobodys', statementsMax: 1 });

  it('answers, and says what engine it is', async () => {
    const client = clientWith(clickHouse.passwordFile);
    assert.equal((await client.ping()).success, true);
    const answer = await client.query({ query: 'SELECT version() AS v', format: 'JSONEachRow' });
    const [row] = await answer.json<{ readonly v: string }>();
    console.log(`    ClickHouse engine ${row?.v}, over HTTP`);
    await client.close();
  });

  it('is an internal defect when it refuses a statement, and unavailable when it is away', async () => {
    const stranger = clientWith('/dev/null');
    const refused = ledgerOver(stranger).createTables();
    await assert.rejects(refused, (error) => {
      assert.ok(error instanceof ServiceError);
      assert.match(error.message, /AUTHENTICATION_FAILED/);
      assert.ok(!error.message.includes(readFileSync(clickHouse.passwordFile, 'utf8').trim()));
      return true;
    });
    await stranger.close();
    const another = await startLocalClickHouse();
    const env = {
      LETHE_CLICKHOUSE_URL: another.url,
      LETHE_CLICKHOUSE_PASSWORD_FILE: clickHouse.passwordFile,
    };
    const client = openClickHouse(parseClickHouseConfig(env), 2);
    await another.destroy();
    await assert.rejects(ledgerOver(client).createTables(), { reason: 'STORE_UNAVAILABLE' });
    await client.close();
  });

  it('passes the suites of analytics as the engine in the process does', async () => {
    const { status, passed, said } = await runMocha(suites, undefined, {
      LETHE_TEST_CLICKHOUSE_URL: clickHouse.url,
      LETHE_TEST_CLICKHOUSE_PASSWORD_FILE: clickHouse.passwordFile,
    });
    assert.equal(status, 0, said);
    console.log(`    ${passed} tests passed over HTTP`);
    assert.ok(passed > 80, said);
  });
});
