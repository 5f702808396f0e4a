import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serviceNames } from '@lethe/proto/access.ts';
import { whyNoKafka } from '../../deploy/local/kafka.ts';
import { findPostgresBinaries } from '../../deploy/local/postgres.ts';
import { type SixProcesses, startSixProcesses } from '../../deploy/local/six-processes.ts';
import { leftByTour } from '../harness/left-by-tour.ts';
import { type LetheResult, runLethe } from '../harness/lethe.ts';
import { createProcessKeeper, type ProcessKeeper } from '../harness/processes.ts';
import { makeFolder, removeFolder } from '../harness/temporary-folder.ts';
import { vaultBinary } from './vault-binary.ts';

const anchor = new Date().toISOString().slice(0, 10);
const helpDesk = ['--events', '2000', '--tenants', '3', '--days', '30', '--anchor', anchor];
const servingWithinMs = 300_000;

describe('six processes on Kafka with SCRAM, TLS and ACLs, and PostgreSQL with passwords and TLS', function () {
  this.timeout(900_000);
  let six: SixProcesses;
  let keeper: ProcessKeeper;
  let folder: string;

  before(async function () {
    const binary = await vaultBinary(process.env['CI'] === 'true');
    const why = binary === undefined ? 'no Vault' : whyNoKafka();
    if (binary === undefined || why !== undefined || findPostgresBinaries() === undefined) {
      console.warn(`SKIPPED: six processes, secured: ${why ?? 'no PostgreSQL'}`);
      assert.notEqual(process.env['CI'], 'true');
      this.skip();
    }
    folder = makeFolder();
    keeper = createProcessKeeper();
    six = await startSixProcesses({ vaultBinary: binary, isSecured: true });
    console.log(`    Kafka ${six.kafka.version}, ${six.postgres.version}, ${six.vault.version}`);
  });
  after(async () => {
    await keeper?.stopAll();
    await six?.stop();
    if (folder !== undefined) removeFolder(folder);
  });

  /** A machine that does much else may not answer in 30 s; a tour that was interrupted goes on. */
  const tourToItsEnd = async (triesLeft = 5): Promise<LetheResult> => {
    const toured = await runLethe(keeper, ['tour', ...helpDesk, '--data', six.dataFolder]);
    const isLate = toured.exitCode !== 0 && toured.stderr.includes('CALL_TIMED_OUT');
    return isLate && triesLeft > 1 ? await tourToItsEnd(triesLeft - 1) : toured;
  };

  it('tour with the totals and the erasure of one process on embedded stores', async () => {
    const toured = await tourToItsEnd();
    assert.equal(toured.exitCode, 0, toured.stdout + toured.stderr);
    assert.match(toured.stdout, /totals are equal before and after/);
    assert.match(toured.stdout, /The certificate holds\./);
    const embedded = join(folder, 'embedded');
    const ports = ['--port', '0', '--health-port', '0'];
    const up = ['up', '--tour', '--once', '--data', embedded, ...helpDesk, ...ports];
    const standalone = await runLethe(keeper, up);
    assert.equal(standalone.exitCode, 0, standalone.stderr);
    assert.deepEqual(leftByTour(six.dataFolder), leftByTour(embedded));
  });

  it('are at PostgreSQL over TLS alone, each as its own role', () => {
    const connected = six.query(`
      select usename, bool_and(ssl) from pg_stat_ssl join pg_stat_activity using (pid)
      where usename <> 'lethe' group by usename order by usename`);
    assert.deepEqual(
      connected,
      serviceNames.toSorted().map((name) => [name, 't']),
    );
  });

  it('end, and say which setting, when Kafka, PostgreSQL or ClickHouse refuses their password', async () => {
    const usage = six.service('usage');
    const file = six.secured?.passwordFile('usage') ?? assert.fail();
    const right = readFileSync(file);
    await usage.end('SIGTERM');
    writeFileSync(file, 'another\n');
    usage.start();
    assert.equal(await usage.ended(), 1);
    assert.match(lastLineOf(usage), /"level":"fatal".*STORE_ACCESS_DENIED.*POSTGRES_PASSWORD_FILE/);
    // PostgreSQL is asked first: with the right one there, Kafka is the one to refuse.
    six.sql(`alter role usage password 'another'`);
    usage.start();
    assert.equal(await usage.ended(), 1);
    assert.match(readFileSync(usage.logFile, 'utf8'), /"level":"fatal".*LOG_ACCESS_DENIED/);
    six.sql(`alter role usage password '${right.toString('utf8').trim()}'`);
    writeFileSync(file, right);
    usage.start();
    await usage.untilServing(servingWithinMs);
    const { passwordFile } = six.clickHouse;
    const ofClickHouse = readFileSync(passwordFile);
    const analytics = six.service('analytics');
    await analytics.end('SIGTERM');
    // The server has read it before.
    writeFileSync(passwordFile, 'another\n');
    analytics.start();
    assert.equal(await analytics.ended(), 1);
    const refused = /"level":"fatal".*STORE_ACCESS_DENIED.*LETHE_CLICKHOUSE_PASSWORD_FILE/;
    assert.match(lastLineOf(analytics), refused);
    writeFileSync(passwordFile, ofClickHouse);
    analytics.start();
    await analytics.untilServing(servingWithinMs);
  });
});

function lastLineOf({ logFile }: { readonly logFile: string }): string {
  return readFileSync(logFile, 'utf8').trimEnd().split('\n').at(-1) ?? '';
}
