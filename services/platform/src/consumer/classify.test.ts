import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { LogEntry } from '../event-log/port.ts';
import { eventIdBytes, eventIdFromBytes, type TenantId } from '../ids/ids.ts';
import { recordIdOf } from '../ids/record-id.ts';
import { emptyRecord, eventIdNamed, recordWrite } from '../testing/log-records.ts';
import { type Checkpoint, firstCheckpoint } from './checkpoints.ts';
import { classify, firstUnlisted, type SequenceSpan, spanText } from './classify.ts';

function recordAt(sequence: bigint, offset: bigint): LogEntry {
  return { ...recordWrite(emptyRecord(`${sequence}`)), sequence, offset };
}

const tombstoneAt = (offset: bigint): LogEntry => ({
  kind: 'tombstone',
  eventId: eventIdNamed('gone'),
  offset,
});
const tickAt = (offset: bigint, lastSequence: bigint): LogEntry => ({
  kind: 'tick',
  lastSequence,
  offset,
});

const sequencesOf = (records: readonly { sequence: bigint }[]): bigint[] =>
  records.map((record) => record.sequence);

describe('classify', () => {
  it('takes what follows the checkpoint, in order, and the offset behind it', () => {
    const found = classify({ sequence: 4n, nextOffset: 10n }, [
      recordAt(5n, 10n),
      recordAt(6n, 13n),
    ]);
    assert.deepEqual(sequencesOf(found.fresh), [5n, 6n]);
    assert.deepEqual(found.fresh[0]?.record.header?.eventId, eventIdNamed('5'));
    assert.deepEqual(found.next, { sequence: 6n, nextOffset: 14n });
    assert.equal(found.gap, undefined);
  });

  it('skips what lies at or below the checkpoint and never moves it back', () => {
    const checkpoint = { sequence: 5n, nextOffset: 10n };
    const found = classify(checkpoint, [recordAt(4n, 7n), recordAt(5n, 8n)]);
    assert.deepEqual(found.fresh, []);
    assert.equal(found.duplicates, 2);
    assert.deepEqual(found.next, checkpoint);
  });

  it('skips a sequence that comes twice among the entries', () => {
    const twice = [recordAt(1n, 0n), recordAt(1n, 1n), recordAt(2n, 2n)];
    assert.deepEqual(sequencesOf(classify(firstCheckpoint, twice).fresh), [1n, 2n]);
  });

  it('moves the offset alone over tombstone records and ticks that say nothing new', () => {
    const checkpoint = { sequence: 7n, nextOffset: 3n };
    const found = classify(checkpoint, [tombstoneAt(3n), tickAt(4n, 7n), tickAt(5n, 6n)]);
    assert.deepEqual(found.fresh, []);
    assert.deepEqual(found.next, { sequence: 7n, nextOffset: 6n });
    assert.equal(found.gap, undefined);
  });

  it('takes a tick that is ahead of what was read for a gap, and ends before it', () => {
    const found = classify(firstCheckpoint, [recordAt(1n, 0n), tickAt(1n, 3n), recordAt(4n, 2n)]);
    assert.deepEqual(sequencesOf(found.fresh), [1n]);
    assert.deepEqual(found.gap, { from: 2n, to: 3n });
    assert.deepEqual(found.next, { sequence: 1n, nextOffset: 1n });
  });

  it('goes up to the last sequence of a tick when all of it is listed as erased', () => {
    const entries = [recordAt(1n, 0n), tickAt(1n, 3n)];
    const found = classify(firstCheckpoint, entries, [{ from: 2n, to: 3n }]);
    assert.deepEqual(sequencesOf(found.fresh), [1n]);
    assert.equal(found.gap, undefined);
    assert.deepEqual(found.next, { sequence: 3n, nextOffset: 2n });
    const inPart = classify(firstCheckpoint, entries, [{ from: 2n, to: 2n }]);
    assert.deepEqual(inPart.gap, { from: 3n, to: 3n });
    assert.deepEqual(inPart.next, { sequence: 1n, nextOffset: 1n });
  });

  it('ends before a gap and says which sequences it misses', () => {
    const found = classify(firstCheckpoint, [recordAt(1n, 0n), recordAt(5n, 1n), recordAt(6n, 2n)]);
    assert.deepEqual(sequencesOf(found.fresh), [1n]);
    assert.deepEqual(found.gap, { from: 2n, to: 4n });
    assert.deepEqual(found.next, { sequence: 1n, nextOffset: 1n });
  });

  it('goes over a gap that is listed as erased, also in several ranges', () => {
    const entries = [recordAt(1n, 0n), recordAt(5n, 1n)];
    for (const erased of [
      [{ from: 2n, to: 4n }],
      [
        { from: 1n, to: 2n },
        { from: 3n, to: 9n },
      ],
    ]) {
      const found = classify(firstCheckpoint, entries, erased);
      assert.deepEqual(sequencesOf(found.fresh), [1n, 5n]);
      assert.deepEqual(found.next, { sequence: 5n, nextOffset: 2n });
    }
  });

  it('applies a record that is listed as erased and still on the log', () => {
    const found = classify(firstCheckpoint, [recordAt(1n, 0n)], [{ from: 1n, to: 1n }]);
    assert.deepEqual(sequencesOf(found.fresh), [1n]);
  });

  it('names the unlisted part of a gap that is listed in part', () => {
    const entries = [recordAt(8n, 0n)];
    const gapWith = (erased: readonly SequenceSpan[]) =>
      classify(firstCheckpoint, entries, erased).gap;
    assert.deepEqual(gapWith([{ from: 1n, to: 3n }]), { from: 4n, to: 7n });
    assert.deepEqual(gapWith([{ from: 5n, to: 7n }]), { from: 1n, to: 4n });
    assert.deepEqual(gapWith([{ from: 9n, to: 12n }]), { from: 1n, to: 7n });
  });

  it('ends before a record that does not decode, or is not the event of its key', () => {
    const good = recordAt(1n, 0n);
    const bad = recordAt(2n, 1n);
    assert.ok(bad.kind === 'record');
    for (const broken of [
      { ...bad, value: Buffer.from('0affffffff', 'hex') },
      { ...bad, value: Buffer.alloc(0) },
      { ...bad, eventId: eventIdNamed('another') },
    ]) {
      const found = classify(firstCheckpoint, [good, broken, recordAt(3n, 2n)]);
      assert.equal(found.malformed, 2n);
      assert.deepEqual(sequencesOf(found.fresh), [1n]);
      assert.deepEqual(found.next, { sequence: 1n, nextOffset: 1n });
    }
  });

  it('knows an event by the record key made of tenant and event id', () => {
    const entry = recordAt(1n, 0n);
    assert.ok(entry.kind === 'record');
    const keyOf = (tenantId: string): Buffer =>
      eventIdBytes(recordIdOf(tenantId as TenantId, eventIdFromBytes(entry.eventId)));
    const found = (eventId: Buffer) => classify(firstCheckpoint, [{ ...entry, eventId }]);
    assert.deepEqual(sequencesOf(found(keyOf('acme')).fresh), [1n]);
    assert.equal(found(keyOf('zeta')).malformed, 1n);
  });

  it('law: any chunking and redelivery applies each record once, in order, over erased ones', () => {
    const entryKinds = fc.array(fc.constantFrom('record', 'erased', 'tombstone', 'tick'), {
      minLength: 1,
      maxLength: 60,
    });
    const reads = fc.array(fc.record({ back: fc.nat(20), size: fc.integer({ min: 1, max: 20 }) }), {
      maxLength: 40,
    });
    fc.assert(
      fc.property(entryKinds, reads, (kinds, chunks) => {
        const { entries, erased } = logOf(kinds);
        const end = BigInt(kinds.length);
        const applied: bigint[] = [];
        let checkpoint: Checkpoint = firstCheckpoint;
        const read = (from: bigint, size: number): void => {
          const chunk = entries.filter(({ offset }) => offset >= from).slice(0, size);
          const { fresh, gap, next } = classify(checkpoint, chunk, erased);
          assert.equal(gap, undefined);
          applied.push(...sequencesOf(fresh));
          checkpoint = next;
        };
        for (const { back, size } of chunks) {
          const from = checkpoint.nextOffset - BigInt(back);
          read(from < 0n ? 0n : from, size);
        }
        while (entries.some(({ offset }) => offset >= checkpoint.nextOffset)) {
          read(checkpoint.nextOffset, 7);
        }
        assert.deepEqual(
          applied,
          entries.flatMap((each) => (each.kind === 'record' ? [each.sequence] : [])),
        );
        assert.ok(checkpoint.nextOffset <= end);
        assert.equal(checkpoint.sequence, lastNamed(entries));
      }),
    );
  });
});

/** The highest sequence that any entry tells of. */
function lastNamed(entries: readonly LogEntry[]): bigint {
  return entries.reduce((last, entry) => {
    if (entry.kind === 'tombstone') return last;
    return entry.kind === 'record' ? entry.sequence : entry.lastSequence;
  }, 0n);
}

/** Entries with an offset each; an erased record has left only its sequence. */
function logOf(kinds: readonly string[]): {
  entries: LogEntry[];
  erased: SequenceSpan[];
} {
  const entries: LogEntry[] = [];
  const erased: SequenceSpan[] = [];
  let sequence = 0n;
  for (const [index, kind] of kinds.entries()) {
    const offset = BigInt(index);
    if (kind === 'record' || kind === 'erased') sequence += 1n;
    if (kind === 'record') entries.push(recordAt(sequence, offset));
    else if (kind === 'erased') erased.push({ from: sequence, to: sequence });
    else entries.push(kind === 'tick' ? tickAt(offset, sequence) : tombstoneAt(offset));
  }
  return { entries, erased };
}

describe('firstUnlisted', () => {
  it('is what a set of sequences says', () => {
    const bound = fc.bigInt({ min: 1n, max: 30n });
    const spans = fc.array(fc.tuple(bound, fc.bigInt({ min: 0n, max: 6n })), { maxLength: 8 });
    fc.assert(
      fc.property(bound, bound, spans, (from, to, given) => {
        const erased = given
          .map(([first, size]) => ({ from: first, to: first + size }))
          .toSorted((a, b) => (a.from < b.from ? -1 : 1));
        const listed = (sequence: bigint): boolean =>
          erased.some((range) => range.from <= sequence && sequence <= range.to);
        const sequences: bigint[] = [];
        for (let each = from; each <= to; each += 1n) sequences.push(each);
        const start = sequences.findIndex((each) => !listed(each));
        const rest = sequences.slice(Math.max(0, start));
        const length = rest.findIndex(listed);
        const run = start < 0 ? [] : rest.slice(0, length < 0 ? undefined : length);
        const [first, last] = [run.at(0), run.at(-1)];
        const expected =
          first === undefined || last === undefined ? undefined : { from: first, to: last };
        assert.deepEqual(firstUnlisted({ from, to }, erased), expected);
      }),
    );
  });

  it('is worded short', () => {
    assert.equal(spanText({ from: 17n, to: 19n }), '17..19');
    assert.equal(spanText({ from: 17n, to: 17n }), '17');
  });
});
