import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { systemClock } from '../lifecycle/clock.ts';
import { type FakeKafkaMember, fakeKafkaOf } from '../testing/fake-kafka-member.ts';
import { defaultKafkaTimeouts } from './kafka-client.ts';
import { createKafkaTail, tailGroupPrefixOf } from './kafka-tail.ts';

const partition = { topic: 'tickets.v1', partition: 0 };

describe('the end of a partition of a Kafka log', () => {
  it('is read in another group once a reader lost its broker, which may still count the former', async () => {
    const members: FakeKafkaMember[] = [];
    let hasCrashed = false;
    const tail = createKafkaTail(partition.topic, {
      kafka: fakeKafkaOf(partition, members),
      timeouts: defaultKafkaTimeouts,
      clock: systemClock,
      randomBytes,
      bounds: async () => ({ low: 0n, end: members.length === 1 && hasCrashed ? 9n : 0n }),
    });
    assert.equal(await tail.lastSequence(partition), 0n);
    assert.equal(await tail.lastSequence(partition), 0n);
    assert.equal(members.length, 1, 'the same reader');
    members[0]?.emit('CRASH', { restart: false, error: new Error('its broker went away') });
    hasCrashed = true;
    assert.equal(await tail.lastSequence(partition), 0n);
    const groups = members.map(({ groupId }) => groupId);
    assert.equal(groups.length, 2);
    assert.equal(new Set(groups).size, 2);
    assert.ok(groups.every((group) => group.startsWith(tailGroupPrefixOf(partition.topic))));
    await tail.close();
  });
});
