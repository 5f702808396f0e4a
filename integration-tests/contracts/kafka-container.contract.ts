import assert from 'node:assert/strict';
import { getContainerRuntimeClient } from 'testcontainers';
import { prepareKafkaImage, whyNoKafka } from '../../deploy/local/kafka.ts';
import {
  type LocalDocker,
  startLocalDocker,
  whyNoDockerDaemon,
} from '../../deploy/local/docker.ts';
import { runMocha } from './run-mocha.ts';

/** The machine's own daemon when one answers, else one that is started for this. */
type Docker = { readonly version: string } & Partial<LocalDocker>;

async function openDocker(): Promise<Docker | string> {
  try {
    const { info } = await getContainerRuntimeClient();
    return { version: `${info.containerRuntime.serverVersion}` };
  } catch {
    return whyNoDockerDaemon() ?? (await startLocalDocker());
  }
}

describe('Kafka in a container', function () {
  this.timeout(600_000);
  let docker: Docker | undefined;
  after(async () => {
    await docker?.stop?.();
  });

  it('passes the contract of the event log, started by testcontainers from an image built here', async function () {
    const reason = whyNoKafka();
    const opened = reason ?? (await openDocker());
    if (typeof opened === 'string') {
      if (process.env['CI'] === 'true') throw new Error(`CI needs Docker: ${opened}`);
      console.warn(`SKIPPED: no container can be started: ${opened}`);
      this.skip();
    }
    docker = opened;
    const { host, inside, version } = docker;
    console.log(
      `    Docker ${version}, ${host === undefined ? 'which ran here' : 'started for this'}`,
    );
    const settings = {
      LETHE_KAFKA_IMAGE_FOLDER: prepareKafkaImage(),
      // It would be pulled; what is started is stopped by the suite.
      TESTCONTAINERS_RYUK_DISABLED: 'true',
      ...(host === undefined
        ? {}
        : { DOCKER_HOST: host, TESTCONTAINERS_HOST_OVERRIDE: '127.0.0.1' }),
    };
    const suite = 'integration-tests/contracts/kafka-in-container.ts';
    const { status, passed, said } = await runMocha([suite], inside, settings);
    assert.equal(status, 0, said);
    const broker = /Apache Kafka \S+ in a container/.exec(said)?.[0];
    console.log(`    ${passed} tests passed on ${broker}`);
    assert.ok(passed > 15, said);
  });
});
