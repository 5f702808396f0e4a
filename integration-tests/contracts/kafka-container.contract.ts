import assert from 'node:assert/strict';
import { getContainerRuntimeClient } from 'testcontainers';
import { prepareKafkaImage } from '../../deploy/local/kafka.ts';
import {
  type LocalDocker,
  startLocalDocker,
  whyNoDockerDaemon,
} from '../../deploy/local/docker.ts';
import { runMocha } from './run-mocha.ts';

/** The machine's own daemon when one answers, else one that is started for this. */
type Docker = { readonly version: string } & Partial<LocalDocker>;

interface Prepared {
  readonly docker: Docker;
  readonly imageFolder: string;
}

/** Or why nothing can run in a container. */
async function prepare(): Promise<Prepared | string> {
  const image = prepareKafkaImage();
  if ('reason' in image) return image.reason;
  try {
    const { info } = await getContainerRuntimeClient();
    const docker = { version: String(info.containerRuntime.serverVersion) };
    return { docker, imageFolder: image.folder };
  } catch {
    const reason = whyNoDockerDaemon();
    if (reason !== undefined) return reason;
    return { docker: await startLocalDocker(), imageFolder: image.folder };
  }
}

function containersTests(this: Mocha.Suite): void {
  this.timeout(600_000);
  let docker: Docker | undefined;
  after(async () => {
    await docker?.stop?.();
  });

  it('passes the contract of the event log, started by testcontainers from an image built here', async function () {
    const prepared = await prepare();
    if (typeof prepared === 'string') {
      if (process.env['CI'] === 'true') throw new Error(`CI needs a container: ${prepared}`);
      console.warn(`SKIPPED: no container can be started: ${prepared}`);
      this.skip();
    }
    docker = prepared.docker;
    const { host, inside, version } = docker;
    const whose = host === undefined ? 'which ran here' : 'started for this';
    console.log(`    Docker ${version}, ${whose}`);
    const settings = {
      LETHE_KAFKA_IMAGE_FOLDER: prepared.imageFolder,
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
}

if (process.env['LETHE_CONTAINERS'] === 'off') {
  console.warn('!!! SKIPPED, NOT CHECKED: LETHE_CONTAINERS=off, nothing runs in a container');
} else {
  describe('Kafka in a container', containersTests);
}
