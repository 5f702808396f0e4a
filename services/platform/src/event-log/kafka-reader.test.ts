import assert from 'node:assert/strict';
import { systemClock } from '../lifecycle/clock.ts';
import { type FakeKafkaMember, fakeKafkaOf } from '../testing/fake-kafka-member.ts';
import { defaultKafkaTimeouts } from './kafka-client.ts';
import { openKafkaReader } from './kafka-reader.ts';
import type { LogReader } from './port.ts';

const partition = { topic: 'tickets.v1', partition: 0 };

describe('the reader of a Kafka log', () => {
  let member: FakeKafkaMember;
  let reader: LogReader;

  beforeEach(async () => {
    const members: FakeKafkaMember[] = [];
    reader = await openKafkaReader(
      { group: 'g', topics: [partition.topic], startAt: async () => [0n] },
      {
        kafka: fakeKafkaOf(partition, members),
        timeouts: defaultKafkaTimeouts,
        clock: systemClock,
        closed: () => {},
      },
    );
    const [made] = members;
    assert.ok(made !== undefined);
    member = made;
    await member.receiveTo('49');
    assert.equal(reader.position(partition), 50n);
    member.sought.length = 0;
  });
  afterEach(async () => {
    await reader.close();
  });

  it('goes on behind what no application sees', () => {
    member.skipTo('59');
    assert.equal(reader.position(partition), 60n);
    assert.deepEqual(member.sought, []);
  });

  it('stays where it was told to go when what was fetched before comes afterwards', () => {
    reader.seek(partition, 10n);
    // Each broker is asked for itself, and only that of the partition takes the seek up.
    member.emit('FETCH_START', { nodeId: '2' });
    member.skipTo('59');
    assert.equal(reader.position(partition), 10n);
    assert.deepEqual(member.sought, ['10', '10']);
    member.skipTo('19');
    assert.equal(reader.position(partition), 20n);
    assert.deepEqual(member.sought, ['10', '10'], 'once more suffices');
  });

  it('goes on where records came from the place that it was told', async () => {
    reader.seek(partition, 10n);
    await member.receiveTo('19');
    member.skipTo('21');
    assert.equal(reader.position(partition), 22n);
    assert.deepEqual(member.sought, ['10']);
  });
});
