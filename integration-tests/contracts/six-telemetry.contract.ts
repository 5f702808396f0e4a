import assert from 'node:assert/strict';
import { serviceNames } from '@lethe/proto/access.ts';
import { whyNoKafka } from '../../deploy/local/kafka.ts';
import { findPostgresBinaries } from '../../deploy/local/postgres.ts';
import { type SixProcesses, startSixProcesses } from '../../deploy/local/six-processes.ts';
import { readKafkaLog } from '../faults/kafka-stored-log.ts';
import { traceTests } from './trace-tests.ts';
import { findOrBuildCollector } from './collector-binary.ts';
import { vaultBinary } from './vault-binary.ts';

const collector = await findOrBuildCollector('no trace of six processes was received by one');

// Said above where there is none.
if (collector !== undefined) {
  describe('what six processes tell a collector', function () {
    this.timeout(900_000);
    let six: SixProcesses | undefined;
    traceTests(collector, async (env) => {
      const vault = await vaultBinary(process.env['CI'] === 'true');
      const why = vault === undefined ? 'no Vault' : whyNoKafka();
      if (vault === undefined || why !== undefined || findPostgresBinaries() === undefined) {
        console.warn(`SKIPPED: telemetry of six processes: ${why ?? 'no PostgreSQL'}`);
        assert.notEqual(process.env['CI'], 'true');
        return undefined;
      }
      const started = await startSixProcesses({ vaultBinary: vault, env });
      six = started;
      return {
        address: started.address,
        dataFolder: started.dataFolder,
        records: async () => (await readKafkaLog(started.kafka.address)).records,
        end: async () => {
          for (const name of serviceNames) {
            assert.equal(await started.service(name).end('SIGTERM'), 0);
          }
        },
      };
    });
    after(async () => await six?.stop());
  });
}
