import assert from 'node:assert/strict';
import path from 'node:path';
import { createProcessKeeper } from '../harness/processes.ts';
import { startServer } from '../harness/server.ts';
import { readLog } from '../harness/stored-log.ts';
import { makeFolder, removeFolder } from '../harness/temporary-folder.ts';
import { traceTests } from './trace-tests.ts';
import { findOrBuildCollector } from './collector-binary.ts';

const collector = await findOrBuildCollector('no trace of one process was received by one');

// Said above where there is none.
if (collector !== undefined) {
  describe('what one process on embedded stores tells a collector', function () {
    this.timeout(600_000);
    const keeper = createProcessKeeper();
    const folder = makeFolder();
    traceTests(collector, async (env) => {
      const dataFolder = path.join(folder, 'data');
      const logFile = path.join(folder, 'log');
      const server = await startServer(keeper, { dataFolder, logFile, env });
      return {
        address: server.address,
        dataFolder,
        records: async () => readLog(dataFolder).records,
        end: async () => assert.equal((await server.stop()).exitCode, 0),
      };
    });
    after(async () => {
      await keeper.stopAll();
      removeFolder(folder);
    });
  });
}
