/** Run by `run.ts` in the node's network namespace. */
import { traceTests } from '../contracts/trace-tests.ts';
import { readKafkaLog } from '../faults/kafka-stored-log.ts';
import { makeFolder, removeFolder } from '../harness/temporary-folder.ts';
import { type ClusterGiven, readGiven } from './given.ts';
import { releaseTools } from './release-tools.ts';
import { createReport } from './report.ts';
import { type ClusterSystems, startClusterSystems } from './systems.ts';
import { clusterValues } from './values.ts';

const given = readGiven<ClusterGiven>(process.env['LETHE_CLUSTER'], 'npm run test:cluster');

if (given.collectorBinary === undefined) {
  const why = 'no collector (npm run build:collector), so no trace of pods was looked at';
  const report = createReport(given.reportFile);
  report.line(`!!! SKIPPED, NOT CHECKED: ${why}`);
  report.write();
} else {
  describe('what six pods tell a collector', function () {
    this.timeout(1_800_000);
    const report = createReport(given.reportFile);
    const folder = makeFolder();
    const tools = releaseTools(given, 'lethe-traced', folder);
    const { address: host } = given;
    let systems: ClusterSystems | undefined;
    const ends: (() => Promise<void>)[] = [];

    traceTests(
      given.collectorBinary ?? '',
      async (env) => {
        const started = await startClusterSystems(host, folder, given.vaultBinary);
        systems = started;
        await tools.prepare(started);
        const values = {
          ...clusterValues(started, host, given.digests),
          telemetry: {
            endpoint: env['LETHE_TELEMETRY_ENDPOINT'],
            traceRatio: env['LETHE_TELEMETRY_TRACE_RATIO'],
            intervalMs: Number(env['LETHE_TELEMETRY_INTERVAL_MS']),
            peers: [{ ipBlock: { cidr: `${host}/32` } }],
          },
        };
        try {
          await tools.install(values);
        } catch (error) {
          report.line('FAILED: helm install');
          await tools.sayPods();
          throw error;
        }
        const router = await tools.openRouter();
        ends.push(async () => await router.close());
        return {
          address: router.address,
          dataFolder: folder,
          records: async () => (await readKafkaLog(started.kafkaOnLoopback)).records,
          end: tools.uninstall,
        };
      },
      host,
    );
    afterEach(async function () {
      const { title, state } = this.currentTest ?? {};
      report.line(`${state === 'passed' ? 'holds' : 'FAILED'}: ${title}`);
      if (state === 'failed') await tools.sayPods();
    });
    after(async () => {
      for (const end of ends) await end();
      await systems?.stop();
      removeFolder(folder);
      report.write();
    });
  });
}
