import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type KafkaAcl, kafkaAcls } from '@lethe/platform/event-log/kafka-acls.ts';
import { transactionalIdOf } from '@lethe/platform/event-log/kafka-writer.ts';
import type { EventLog } from '@lethe/platform/event-log/port.ts';
import { topics } from '@lethe/proto/topics.ts';
import { startComposedSystem } from '../races/composed-system.ts';

const acls = kafkaAcls(topics);

/** Those who have the right. */
function principalsWith(
  resource: KafkaAcl['resource'],
  name: string,
  operation: KafkaAcl['operations'][number],
): string[] {
  return acls
    .filter((acl) => acl.resource === resource && acl.operations.includes(operation))
    .filter((acl) => (acl.pattern === 'prefixed' ? name.startsWith(acl.name) : name === acl.name))
    .map(({ principal }) => principal);
}

describe('ACLs of Kafka and what the services do', function () {
  this.timeout(60_000);

  it('hold for every group, topic and writer that the six services open', async () => {
    const readers: { readonly group: string; readonly topics: readonly string[] }[] = [];
    const writers = new Set<string>();
    const watched = (log: EventLog): EventLog => ({
      openWriter: (partition) => {
        writers.add(JSON.stringify(partition));
        return log.openWriter(partition);
      },
      openReader: (options) => {
        readers.push(options);
        return log.openReader(options);
      },
      partitionsOf: (topic) => log.partitionsOf(topic),
      endOffsets: (topic) => log.endOffsets(topic),
      close: () => log.close(),
    });
    const system = await startComposedSystem('kafka-acls', undefined, watched);
    await system.stop();

    assert.ok(
      readers.some(({ group }) => group.includes('-')),
      'also groups with a purpose',
    );
    for (const reader of readers) {
      const [principal, ...more] = principalsWith('group', reader.group, 'Read');
      assert.ok(principal !== undefined && more.length === 0, `one may join ${reader.group}`);
      for (const topic of reader.topics) {
        const allowed = principalsWith('topic', topic, 'Read');
        assert.ok(allowed.includes(principal), `${principal} in ${reader.group} reads ${topic}`);
      }
    }
    assert.ok(writers.size >= topics.length);
    for (const text of writers) {
      const partition = JSON.parse(text) as { topic: string; partition: number };
      const allowed = principalsWith('topic', partition.topic, 'Write');
      assert.equal(allowed.length, 1);
      const id = transactionalIdOf(partition);
      assert.deepEqual(principalsWith('transactional-id', id, 'Write'), allowed, id);
    }
  });

  const command = fileURLToPath(new URL('../../deploy/kafka/acls.ts', import.meta.url));
  const run = (...args: readonly string[]) =>
    spawnSync(process.execPath, [command, ...args], { encoding: 'utf8' });

  it('are printed as a list', () => {
    assert.deepEqual(JSON.parse(run('--format', 'json').stdout), acls);
  });

  it('are printed as calls of the tool, one for each, with what a shell would take apart in quotes', () => {
    const printed = run(
      '--principal',
      "User:CN={service},O=it's",
      '--command-config',
      'a b.properties',
    );
    const lines = printed.stdout.trimEnd().split('\n');
    assert.equal(lines.length, acls.length);
    assert.equal(
      lines[1],
      String.raw`kafka-acls.sh --bootstrap-server localhost:9092 --command-config 'a b.properties' --add --force ` +
        String.raw`--allow-principal 'User:CN=tickets,O=it'\''s' --operation Write --operation Describe ` +
        '--transactional-id lethe-tickets.v1- --resource-pattern-type prefixed',
    );
  });

  it('are not printed for what makes no sense', () => {
    for (const args of [['--format', 'xml'], ['--principal', 'User:same'], ['--wrong']]) {
      const { status, stdout, stderr } = run(...args);
      assert.equal(status, 2);
      assert.equal(stdout, '');
      assert.match(stderr, /--format commands\|json/);
    }
  });
});
