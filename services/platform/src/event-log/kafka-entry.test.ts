import assert from 'node:assert/strict';
import { eventIdNamed, recordNamed } from './contract-support.ts';
import { decodeMessage, encodeWrites } from './kafka-entry.ts';

const from = { topic: 'tickets.v1', partition: 2 };

/** As the broker hands out what was sent: the headers come back as bytes. */
function received(message: ReturnType<typeof encodeWrites>[number], offset: number) {
  const headers = Object.entries(message.headers ?? {}).map(([name, value]) => [
    name,
    Buffer.from(String(value)),
  ]);
  return {
    key: Buffer.from(message.key ?? ''),
    value: message.value === null ? null : Buffer.from(message.value),
    timestamp: message.timestamp ?? '',
    attributes: 0,
    offset: String(offset),
    headers: Object.fromEntries(headers),
  };
}

describe('entries on Kafka', () => {
  it('come back as they were written, only records with a sequence', () => {
    const [a, b] = [recordNamed('a'), recordNamed('b')];
    const tombstone = { kind: 'tombstone', eventId: eventIdNamed('gone') } as const;
    const tick = { kind: 'tick', lastSequence: 8n } as const;
    const messages = encodeWrites(2, 7n, [a, tombstone, tick, b], 5_000);
    const entries = messages.map((message, offset) =>
      decodeMessage(from, received(message, offset)),
    );
    assert.deepEqual(entries, [
      { ...a, offset: 0n, sequence: 7n },
      { ...tombstone, offset: 1n },
      { ...tick, offset: 2n },
      { ...b, offset: 3n, sequence: 8n },
    ]);
    assert.ok(messages.every(({ partition }) => partition === 2));
    assert.equal(messages[0]?.timestamp, String(a.recordedAtMs), "the log's time is recorded_at");
    assert.equal(messages[1]?.timestamp, '5000');
  });

  it('give all ticks one key and a value, so that compaction keeps the newest', () => {
    const ticks = [1n, 2n].map((lastSequence) => ({ kind: 'tick', lastSequence }) as const);
    const [first, second] = encodeWrites(0, 3n, ticks, 1);
    assert.deepEqual(first?.key, second?.key);
    assert.ok(first?.value !== null);
  });

  it('are refused when no writer of ours made them, naming where they lie', () => {
    const sound = encodeWrites(2, 1n, [recordNamed('a')], 1)[0];
    assert.ok(sound !== undefined);
    const good = received(sound, 4);
    const bad = [
      { ...good, headers: {} },
      { ...good, headers: { sequence: Buffer.from('-1') } },
      { ...good, headers: { sequence: Buffer.from('1e3') } },
      { ...good, key: Buffer.alloc(15) },
      { ...good, key: null },
      { ...good, key: Buffer.from('tick') },
    ];
    for (const message of bad) {
      assert.throws(() => decodeMessage(from, message), {
        reason: 'RECORD_MALFORMED',
        message: /tickets\.v1\/2 offset 4/,
      });
    }
  });
});
