import { basename } from 'node:path';
import {
  GenericContainer,
  getContainerRuntimeClient,
  type StartedTestContainer,
  Wait,
} from 'testcontainers';
import { eventLogContract } from '@lethe/platform/event-log/contract.ts';
import { freePort } from '../../deploy/local/free-port.ts';
import { createKafkaSubject } from './kafka-event-log.ts';

/** Run by `kafka-container.contract.ts`, in the network where the containers' ports are open. */
const folder = process.env['LETHE_KAFKA_IMAGE_FOLDER'] ?? '';

describe('Kafka started by testcontainers', function () {
  this.timeout(120_000);
  let container: StartedTestContainer;
  let address: string;
  before(async () => {
    const version = basename(folder).replace('kafka-image-', '');
    const image = await GenericContainer.fromDockerfile(folder).build(
      `localhost/lethe-kafka:${version}`,
      {
        deleteOnExit: false,
      },
    );
    const { info } = await getContainerRuntimeClient();
    // The broker tells its clients where it is: the port outside has to be known before it starts.
    const port = await freePort();
    address = `${info.containerRuntime.host}:${port}`;
    const advertised = `advertised.listeners=EXTERNAL://${address},INTERNAL://127.0.0.1:9094`;
    container = await image
      .withExposedPorts({ container: 9092, host: port })
      .withCommand(['--override', advertised])
      .withWaitStrategy(Wait.forLogMessage(/Kafka Server started/))
      .start();
    console.log(`Apache Kafka ${version} in a container`);
  });
  after(async () => {
    await container?.stop();
  });

  eventLogContract('Kafka in a container', () => createKafkaSubject(address));
});
