import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { deflateSync } from 'node:zlib';
import type { Canary } from '@lethe/cli/generator/canaries.ts';
import { eventShapes } from '@lethe/proto/gen/shapes.ts';
import { topics } from '@lethe/proto/topics.ts';
import { createByteSearch } from '../harness/byte-patterns.ts';
import { bytesOf, fieldsOf, type ForeignClient, type SeenEntry } from './foreign-client.ts';
import { bareClient } from './kafka-subject.ts';

/** Kafka with a toured help desk on it, and the personal texts that the tour sent. */
export interface TouredKafka {
  readonly address: string;
  readonly canaries: readonly Canary[];
}

type Form = (text: string) => boolean;
const matches =
  (form: RegExp): Form =>
  (text) =>
    form.test(text);
const binary = (bytes: number): Form => matchesBytes((found) => found.length === bytes);
const moment = matches(/^\d{13}$/);
const count = matches(/^[1-9]\d{0,8}$/);

/** Version, key id, nonce, ciphertext and tag. */
const box: Form = matchesBytes((found) => found.length >= 45 && found[0] === 1);
const boxHeadBytes = 1 + 16;

/** All that a record of a sealed topic has outside of its boxes, and what each looks like. */
const clearFields: Readonly<Record<string, Form>> = {
  'header.tenant_id': matches(/^[a-z0-9-]{1,63}$/),
  'header.event_id': binary(16),
  'header.type': (text) => eventShapes[text] !== undefined,
  'header.stream_token': binary(16),
  'header.position': count,
  'header.occurred_at_ms': moment,
  'header.recorded_at_ms': moment,
  'header.schema_version': count,
  'header.causation_id': binary(16),
  'parts.name': matches(/^(facts|content|[a-z]{1,20}([A-Z][a-z]+)?|cc\/\d{1,3})$/),
  'parts.scope_kind': matches(/^SCOPE_KIND_(FACTS|TICKET|PERSON)$/),
  'parts.scope_token': binary(16),
  'parts.incarnation': count,
  'parts.box': box,
  'parts.erased_at_append': matches(/^true$/),
  resealed: matches(/^true$/),
  // Random ids of a sampled trace.
  trace_context: binary(24),
};

function matchesBytes(isRight: (found: Buffer) => boolean): Form {
  return (text) => isRight(Buffer.from(text, 'base64'));
}

/** What the entry is, by what every client sees of it; `malformed` for anything that Lethe does not write. */
function kindOf({ key, headers, value, record, unknown, topic }: SeenEntry): string {
  const names = headers.map(([name]) => name).join();
  const keyBytes = Buffer.from(key ?? '', 'base64');
  if (keyBytes.toString() === 'tick' && names === 'last-sequence') return 'tick';
  if (keyBytes.length !== 16) return 'malformed';
  if (value === null) return names === '' ? 'tombstone' : 'malformed';
  const isRecord = names === 'sequence' && record !== undefined && unknown === 0;
  if (!isRecord) return 'malformed';
  return topic === 'privacy.v1' ? 'privacy record' : 'sealed record';
}

/** A client that is not ours looks at every topic: what it finds is what the proto files say lies there in the clear. */
export function foreignClientTests(
  client: ForeignClient,
  touredKafka: () => Promise<TouredKafka>,
): void {
  let kafka: TouredKafka;
  let entries: readonly SeenEntry[];
  const ofKind = (kind: string) => entries.filter((entry) => kindOf(entry) === kind);

  before(async () => {
    kafka = await touredKafka();
    const names = topics.map(({ name }) => name);
    const { version, entries: all } = await client.readAll(kafka.address, names);
    entries = all;
    const kinds = [...new Set(all.map(kindOf))].map((kind) => `${ofKind(kind).length} ${kind}s`);
    console.log(`    ${version}: ${kinds.join(', ')}`);
  });

  it('sees records, tombstones and ticks, and nothing else', () => {
    assert.deepEqual(ofKind('malformed'), []);
    for (const kind of ['sealed record', 'privacy record', 'tombstone', 'tick']) {
      assert.ok(ofKind(kind).length > 0, kind);
    }
  });

  it('sees ids, tokens, types, times and boxes in a record, and no field beside them', () => {
    const found = new Map<string, number>();
    for (const { record = {}, topic, partition, offset } of ofKind('sealed record')) {
      for (const [place, value] of fieldsOf(record)) {
        const isRight = clearFields[place]?.(String(value)) === true;
        assert.ok(isRight, `${topic}/${partition} offset ${offset}: ${place}`);
        found.set(place, (found.get(place) ?? 0) + 1);
      }
    }
    const lines = Array.from(found, ([place, times]) => `${place} ${times}`);
    console.log(`    ${lines.join(', ')}`);
    for (const place of ['header.type', 'header.stream_token', 'parts.box', 'parts.scope_token']) {
      assert.ok((found.get(place) ?? 0) > 1_000, place);
    }
  });

  it('sees tokens in the clear on privacy.v1, and no box', () => {
    const places = ofKind('privacy record').flatMap(({ record = {} }) =>
      Array.from(fieldsOf(record), ([place]) => place),
    );
    assert.ok(places.includes('clear_payload'));
    assert.ok(!places.some((place) => place.startsWith('parts')));
  });

  it('sees nothing in the boxes: together they are as good as random', () => {
    const boxes = ofKind('sealed record').flatMap(({ record = {} }) =>
      Array.from(fieldsOf(record)).flatMap(([place, value]) =>
        // The key id stands in every box of its scope.
        place === 'parts.box' ? [Buffer.from(String(value), 'base64').subarray(boxHeadBytes)] : [],
      ),
    );
    const all = Buffer.concat(boxes);
    const ratio = deflateSync(all, { level: 9 }).length / all.length;
    console.log(`    ${all.length} bytes of boxes, deflated to ${(ratio * 100).toFixed(2)} %`);
    assert.ok(all.length > 100_000 && ratio >= 1, `${ratio}`);
  });

  it('finds none of the personal texts that were sent, in any spelling', () => {
    const search = createByteSearch(kafka.canaries.map(({ value }) => value));
    const found = entries.flatMap((entry) =>
      search
        .in(bytesOf(entry))
        .map(({ spelling }) => `${entry.topic}/${entry.partition} ${entry.offset}: ${spelling}`),
    );
    assert.deepEqual(found, []);
    const bytes = entries.reduce((sum, entry) => sum + bytesOf(entry).length, 0);
    console.log(`    ${kafka.canaries.length} texts, ${bytes} bytes: none found`);
    assert.ok(kafka.canaries.length > 1_000);
  });

  it('would have found them: each way of hiding one in a record is seen', async () => {
    const text = kafka.canaries.find(({ kind }) => kind === 'email')?.value ?? '';
    const headers = { sequence: '1', note: Buffer.from(text).toString('hex') };
    const hidden = [
      { value: Buffer.from(text, 'utf16le') },
      { value: Buffer.from(text).toString('base64') },
      { value: Buffer.from('tick'), headers },
      { key: text, value: null },
      // Field 99 of a Record, which nobody defined, in bytes that no search would know.
      { value: Buffer.from([0x9a, 0x06, 0x02, 0x01, 0x02]), headers: { sequence: '1' } },
    ].map((message) => ({ key: randomBytes(16), partition: 0, ...message }));
    const topic = `planted-${randomBytes(4).toString('hex')}`;
    const kafkajs = bareClient(kafka.address);
    const admin = kafkajs.admin();
    const producer = kafkajs.producer();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: true });
    await producer.connect();
    await producer.send({ topic, messages: hidden });
    const planted = (await client.readAll(kafka.address, [topic])).entries;
    await admin.deleteTopics({ topics: [topic] });
    await producer.disconnect();
    await admin.disconnect();
    const search = createByteSearch([text]);
    const spellings = planted.map((entry) => search.in(bytesOf(entry))[0]?.spelling);
    assert.deepEqual(spellings, ['utf16', 'base64', 'hex', 'utf8', undefined]);
    assert.equal(planted[4]?.unknown, 1);
    assert.deepEqual(new Set(planted.map(kindOf)), new Set(['malformed']));
  });
}
