import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { consumersOf, topicNamed, topics, topicsReadBy } from './topics.ts';
import type { Topic } from './topics.ts';

describe('the topic manifest', () => {
  it('names each topic once, and no consumer twice', () => {
    const names = topics.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    for (const { consumers } of topics) assert.equal(new Set(consumers).size, consumers.length);
  });

  it('lets no service read a topic that it owns', () => {
    const selfReaders = topics.filter((topic: Topic) => topic.consumers.includes(topic.owner));
    assert.deepEqual(selfReaders, []);
  });

  it('obliges every service but the owner to receive each erasure', () => {
    const services = readdirSync(new URL('../services', import.meta.url));
    const rooms = new Set(['platform', 'cli', 'standalone', 'connector', 'console', 'privacy']);
    const expected = services.filter((name) => !rooms.has(name)).toSorted();
    assert.deepEqual(consumersOf('privacy.v1').toSorted(), expected);
  });

  it('keeps privacy events for ever, in one order, uncompacted', () => {
    const { partitions, cleanupPolicy, retentionMs } = topicNamed('privacy.v1');
    assert.deepEqual(
      { partitions, cleanupPolicy, retentionMs },
      {
        partitions: 1,
        cleanupPolicy: 'delete',
        retentionMs: -1,
      },
    );
  });

  it('says what a service reads', () => {
    assert.deepEqual(topicsReadBy('predictions'), ['tickets.v1', 'privacy.v1']);
    assert.deepEqual(topicsReadBy('privacy'), []);
  });
});
