import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  type Record as LogRecord,
  Record as LogRecordCodec,
  type RecordHeader,
  ScopeKind,
  type SealedPart,
} from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { TicketEvent } from '@lethe/proto/gen/lethe/tickets/v1/events.ts';
import { type EventShape, eventShapes } from '@lethe/proto/gen/shapes.ts';
import fc from 'fast-check';
import { ServiceError } from '../errors/service-error.ts';
import type { Scope, TenantId, Token } from '../ids/ids.ts';
import type { HeldLease, SealLease } from '../key-client/port.ts';
import { labelledBytes, sealingSample, shapeOf } from '../testing/sealing-sample.ts';
import { testLease } from '../testing/test-lease.ts';
import {
  type ErasedPart,
  eventBytesOf,
  type EventPart,
  familyBytesOf,
  leaseByPart,
  type LeaseOfPart,
  openEvent,
  openRequestsOf,
  type Refused,
  sealEvent,
  splitEvent,
} from './event.ts';
import { joinFields } from './wire.ts';

const sample = sealingSample();
const tampered = { reason: 'TAMPERED' };
const erased: Refused = { granted: false, status: 'erased' };

/** What the sample's leases answer, whatever the record claims about scope and key. */
const byName: LeaseOfPart = (part) => {
  const lease = sample.leases.get(part.name);
  if (lease === undefined) return 'skip';
  return 'erased' in lease ? erased : lease;
};

function lease(name: string): SealLease {
  const found = sample.leases.get(name);
  if (found === undefined || 'erased' in found) throw new RangeError(`no lease for ${name}`);
  return found;
}

function partNamed(record: LogRecord, name: string): SealedPart {
  const part = record.parts.find((candidate) => candidate.name === name);
  assert.ok(part, name);
  return part;
}

const sealedNames = ['facts', 'content', 'author', 'cc/0'] as const;

/** Opens one part of the record alone, so that no other box can betray a change. */
function openOnly(record: LogRecord, name: string): Buffer {
  const leaseOf: LeaseOfPart = (part) => (part.name === name ? lease(name) : 'skip');
  return openEvent({ record, leaseOf }).eventBytes;
}

/** Every part that still stands in the record fails on its own. */
function assertNothingOpens(record: LogRecord): void {
  for (const name of sealedNames) {
    if (!record.parts.some((part) => part.name === name)) continue;
    assert.throws(() => openOnly(record, name), tampered, name);
  }
}

function flipped(bytes: Buffer, index: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(index) ^ 0x01, index);
  return copy;
}

describe('splitting an event', () => {
  const arbitraryEvent = fc
    .constantFrom(...Object.values(eventShapes))
    .chain((shape) =>
      fc.tuple(fc.constant(shape), fc.array(fc.constantFrom(...shape.parts), { maxLength: 9 })),
    )
    .map(([shape, fields]) => ({
      shape,
      fields: fields.filter((field, at) => field.repeated || fields.indexOf(field) === at),
    }));

  it('names each part and loses no byte, in any order of fields', () => {
    fc.assert(
      fc.property(arbitraryEvent, fc.uint8Array({ maxLength: 200 }), ({ shape, fields }, bytes) => {
        const message = joinFields(fields.map(({ fieldNumber }) => ({ fieldNumber, bytes })));
        const parts = splitEvent(shape, message);
        assert.deepEqual(joinFields(parts), message);
        assert.deepEqual(
          parts.map(({ name }) => name.split('/')[0]),
          fields.map(({ name }) => name),
        );
        assert.equal(new Set(parts.map(({ name }) => name)).size, parts.length);
      }),
    );
  });

  it('numbers repeated people', () => {
    assert.deepEqual(
      sample.event.parts.map(({ name, kind }) => [name, kind]),
      [
        ['facts', 'facts'],
        ['content', 'content'],
        ['author', 'person'],
        ['cc/0', 'person'],
        ['cc/1', 'person'],
      ],
    );
  });

  it('refuses an unknown field and a singular field that comes twice', () => {
    const bytes = Buffer.from('x');
    const unknown = joinFields([{ fieldNumber: 99, bytes }]);
    assert.throws(() => splitEvent(sample.event.shape, unknown), { reason: 'MALFORMED_MESSAGE' });
    const twice = joinFields([
      { fieldNumber: 1, bytes },
      { fieldNumber: 1, bytes },
    ]);
    assert.throws(() => splitEvent(sample.event.shape, twice), { reason: 'MALFORMED_MESSAGE' });
  });

  it('takes an event out of its union and puts it back', () => {
    const familyBytes = familyBytesOf(sample.event.shape, sample.eventBytes);
    assert.equal(TicketEvent.decode(familyBytes).event?.$case, 'messageAdded');
    const back = eventBytesOf('tickets', familyBytes);
    assert.equal(back.shape, sample.event.shape);
    assert.deepEqual(back.eventBytes, sample.eventBytes);
    for (const shape of Object.values(eventShapes)) {
      assert.equal(eventBytesOf(shape.family, familyBytesOf(shape, Buffer.alloc(0))).shape, shape);
    }
  });

  it('refuses a union of no event, of two, and of an unknown one', () => {
    const bytes = Buffer.alloc(0);
    const two = joinFields([
      { fieldNumber: 1, bytes },
      { fieldNumber: 2, bytes },
    ]);
    for (const union of [bytes, two, joinFields([{ fieldNumber: 999, bytes }])]) {
      assert.throws(() => eventBytesOf('usage', union), { reason: 'MALFORMED_MESSAGE' });
    }
  });
});

interface Story {
  readonly shape: EventShape;
  readonly header: RecordHeader;
  readonly message: Buffer;
  readonly erased: ReadonlySet<number>;
}

const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes));

const stories: fc.Arbitrary<Story> = fc
  .record({
    shape: fc.constantFrom(...Object.values(eventShapes)),
    tenantId: fc.constantFrom('acme', 'zeta-2'),
    eventId: bytes16,
    streamToken: bytes16,
    position: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
    occurredAtMs: fc.bigInt({ min: 0n, max: 2n ** 53n }),
    recordedAtMs: fc.bigInt({ min: 0n, max: 2n ** 53n }),
    causationId: fc.option(bytes16, { nil: Buffer.alloc(0) }),
    bytes: fc.uint8Array({ maxLength: 400 }),
    people: fc.integer({ min: 0, max: 3 }),
    erased: fc.uniqueArray(fc.nat({ max: 6 })),
  })
  .map(({ shape, bytes, people, erased: gone, ...rest }) => ({
    shape,
    header: { ...rest, type: shape.type, schemaVersion: shape.schemaVersion },
    message: joinFields(
      shape.parts.flatMap(({ fieldNumber, repeated }) =>
        Array.from({ length: repeated ? people : 1 }, () => ({ fieldNumber, bytes })),
      ),
    ),
    erased: new Set(gone),
  }));

function scopeFor(part: EventPart): Scope {
  if (part.kind === 'facts') return { kind: 'facts' };
  const token = labelledBytes(part.name, 16).toString('hex') as Token;
  return { kind: part.kind === 'content' ? 'ticket' : 'person', token };
}

describe('sealing and opening', () => {
  it('opens what it sealed, without what was erased before', () => {
    fc.assert(
      fc.property(stories, (story) => {
        const parts = splitEvent(story.shape, story.message);
        const leases = new Map<string, SealLease | ErasedPart>();
        parts.forEach((part, at) => {
          const scope = scopeFor(part);
          const tenantId = story.header.tenantId as TenantId;
          const secretBytes = labelledBytes(`secret/${part.name}`, 32);
          leases.set(
            part.name,
            story.erased.has(at)
              ? { erased: true, scope, incarnation: at }
              : testLease({ tenantId, scope, secretBytes, incarnation: at }),
          );
        });
        const leaseOf = (part: { name: string }): SealLease | ErasedPart => {
          const found = leases.get(part.name);
          assert.ok(found);
          return found;
        };
        const sealed = sealEvent({ ...story, parts, leaseOf, randomBytes });
        const value = LogRecordCodec.encode(
          LogRecordCodec.fromPartial({ header: story.header, parts: sealed }),
        ).finish();
        const record = LogRecordCodec.decode(value);
        const requests = openRequestsOf(record, () => true);
        const answers = requests.map(({ part, keyId }): HeldLease => {
          const held = leaseOf(part);
          assert.ok(!('erased' in held));
          assert.deepEqual(keyId, held.dataKey.keyId);
          return held;
        });
        const opened = openEvent({ record, leaseOf: leaseByPart(requests, answers) });
        const isErased = (at: number): boolean => story.erased.has(at);
        assert.deepEqual(opened.eventBytes, joinFields(parts.filter((_, at) => !isErased(at))));
        assert.deepEqual(
          opened.erasedParts,
          parts.filter((_, at) => isErased(at)).map(({ name }) => name),
        );
      }),
    );
  });

  it('gives back the contributors with the facts, and only with them', () => {
    const record = sample.sealed();
    assert.deepEqual(openEvent({ record, leaseOf: byName }).contributors, sample.contributors);
    const withoutFacts = openEvent({
      record,
      leaseOf: (part) => (part.name === 'facts' ? 'skip' : byName(part)),
    });
    assert.deepEqual(withoutFacts.contributors, {});
  });

  it('asks for leases of the wanted kinds alone, never for what was erased at append', () => {
    const record = sample.sealed();
    const names = (wanted: string): string[] =>
      openRequestsOf(record, (kind) => kind === wanted).map(({ part }) => part.name);
    assert.deepEqual(names('facts'), ['facts']);
    assert.deepEqual(names('content'), ['content']);
    assert.deepEqual(names('person'), ['author', 'cc/0']);
  });

  it('leaves no plaintext in a box', () => {
    const value = LogRecordCodec.encode(sample.sealed()).finish();
    const clear = Buffer.from(value).toString('latin1');
    for (const text of ['Ada Beispiel', 'u-1001', 'bo@example.com', 'PC LOAD LETTER']) {
      assert.ok(sample.eventBytes.toString('latin1').includes(text), text);
      assert.ok(!clear.includes(text), text);
    }
  });

  it('refuses a lease of another kind of scope, of another tenant, and a header of another type', () => {
    const { event } = sample;
    assert.throws(() => sealEvent({ ...event, leaseOf: () => lease('facts') }), RangeError);
    const header = { ...event.header, tenantId: 'zeta' };
    assert.throws(() => sealEvent({ ...event, header }), /another tenant/);
    assert.throws(() => sealEvent({ ...event, shape: shapeOf('Solved') }), /differ in type/);
    const parts = event.parts.map((part) => ({ ...part, name: 'facts' }));
    assert.throws(() => sealEvent({ ...event, parts }), /one name/);
  });
});

describe('a changed record', () => {
  it('fails for every byte of every box', () => {
    const record = sample.sealed();
    let bytes = 0;
    for (const name of sealedNames) {
      const { box } = partNamed(record, name);
      for (let index = 0; index < box.length; index += 1) {
        const parts = record.parts.map((part) =>
          part.name === name ? { ...part, box: flipped(box, index) } : part,
        );
        assert.throws(() => openOnly({ ...record, parts }, name), tampered, `${name}[${index}]`);
        bytes += 1;
      }
    }
    assert.ok(bytes > 300, `${bytes} bytes were tried`);
  });

  it('fails for a box that was cut or lengthened anywhere', () => {
    const record = sample.sealed();
    const { box } = partNamed(record, 'content');
    const others = Array.from({ length: box.length }, (_, length) => box.subarray(0, length));
    for (const other of [...others, Buffer.concat([box, Buffer.from([0])])]) {
      const parts = record.parts.map((part) =>
        part.name === 'content' ? { ...part, box: other } : part,
      );
      assert.throws(() => openOnly({ ...record, parts }, 'content'), tampered, `${other.length}`);
    }
  });

  const { header } = sample.sealed();
  assert.ok(header);
  const changes: Partial<RecordHeader>[] = [
    { position: header.position + 1n },
    { position: header.position | (1n << 63n) },
    { occurredAtMs: header.occurredAtMs + 86_400_000n },
    { occurredAtMs: -header.occurredAtMs },
    { recordedAtMs: header.recordedAtMs - 1n },
    { schemaVersion: header.schemaVersion + 1 },
    { type: 'StatusChanged' },
    { tenantId: 'acme2' },
    { tenantId: '', type: 'acmeMessageAdded' },
    { causationId: Buffer.alloc(0) },
  ];
  for (const field of ['eventId', 'streamToken', 'causationId'] as const) {
    for (let index = 0; index < 16; index += 1) {
      changes.push({ [field]: flipped(header[field], index) });
    }
  }
  for (const field of ['tenantId', 'type'] as const) {
    for (let index = 0; index < header[field].length; index += 1) {
      changes.push({ [field]: flipped(Buffer.from(header[field]), index).toString() });
    }
  }
  it(`fails for every bound header field (${changes.length} changes)`, () => {
    const fields = new Set(changes.flatMap((change) => Object.keys(change)));
    assert.deepEqual(fields, new Set(Object.keys(header)), 'every field has a change');
    for (const change of changes) {
      assertNothingOpens({ ...sample.sealed(), header: { ...header, ...change } });
    }
  });

  it('fails without its header', () => {
    assertNothingOpens({ ...sample.sealed(), header: undefined });
  });

  it('fails when anything of the list of parts changes', () => {
    const changesOf = (part: SealedPart): Partial<SealedPart>[] => [
      { name: `${part.name}x` },
      { incarnation: part.incarnation + 1 },
      {
        erasedAtAppend: !part.erasedAtAppend,
        box: part.erasedAtAppend ? part.box : Buffer.alloc(0),
      },
      { scopeKind: ScopeKind.SCOPE_KIND_UNSPECIFIED },
      part.scopeKind === ScopeKind.SCOPE_KIND_FACTS
        ? { scopeKind: ScopeKind.SCOPE_KIND_TICKET, scopeToken: Buffer.alloc(16) }
        : { scopeToken: flipped(part.scopeToken, 15) },
      part.scopeKind === ScopeKind.SCOPE_KIND_PERSON
        ? { scopeKind: ScopeKind.SCOPE_KIND_TICKET }
        : { scopeKind: ScopeKind.SCOPE_KIND_PERSON, scopeToken: Buffer.alloc(16, 1) },
    ];
    const record = sample.sealed();
    for (const [at, part] of record.parts.entries()) {
      for (const change of changesOf(part)) {
        const parts = record.parts.with(at, { ...part, ...change });
        for (const name of sealedNames.filter((other) => other !== part.name)) {
          assert.throws(() => openOnly({ ...record, parts }, name), tampered, part.name);
        }
      }
    }
  });

  it('fails when a part is dropped, added, doubled or moved within the list', () => {
    const record = sample.sealed();
    const { parts } = record;
    for (const at of parts.keys()) {
      assertNothingOpens({ ...record, parts: parts.toSpliced(at, 1) });
      assertNothingOpens({
        ...record,
        parts: [...parts.toSpliced(at, 1), ...parts.slice(at, at + 1)].toReversed(),
      });
    }
    const extra = { ...partNamed(record, 'cc/0'), name: 'cc/2' };
    assertNothingOpens({ ...record, parts: [...parts, extra] });
    assertNothingOpens({ ...record, parts: [...parts, partNamed(record, 'cc/1')] });
  });

  it('fails when boxes of one key are swapped within a record or between records', () => {
    const { event } = sample;
    // One person twice in copy: the same scope and key, so that only the part's name tells the boxes apart.
    const twice = (part: EventPart): SealLease | ErasedPart =>
      part.name.startsWith('cc/') ? lease('cc/0') : event.leaseOf(part);
    const seal = (header_: RecordHeader): LogRecord => ({
      ...sample.sealed(),
      header: header_,
      parts: sealEvent({ ...event, header: header_, leaseOf: twice }),
    });
    const record = seal(event.header);
    const [first, second] = [partNamed(record, 'cc/0'), partNamed(record, 'cc/1')];
    const swapped = record.parts.map((part) => {
      if (part === first) return { ...part, box: second.box };
      return part === second ? { ...part, box: first.box } : part;
    });
    assert.throws(() => openOnly({ ...record, parts: swapped }, 'cc/0'), tampered);
    const others: RecordHeader[] = [
      { ...event.header, eventId: labelledBytes('other event', 16) },
      { ...event.header, streamToken: labelledBytes('other ticket', 16) },
      { ...event.header, position: 3n },
      { ...event.header, occurredAtMs: event.header.occurredAtMs + 86_400_000n },
    ];
    for (const other of others) {
      for (const name of sealedNames) {
        const target = seal(other);
        const foreign = partNamed(record, name).box;
        const parts = target.parts.map((part) =>
          part.name === name ? { ...part, box: foreign } : part,
        );
        assert.throws(() => openOnly({ ...target, parts }, name), tampered, name);
        openOnly(target, name);
      }
    }
  });

  it('fails under another key, even one that claims the same key id', () => {
    const record = sample.sealed();
    const honest = lease('content');
    const other = testLease({
      tenantId: honest.tenantId,
      scope: honest.scope,
      secretBytes: labelledBytes('another key', 32),
    });
    const liar = { ...other, dataKey: { ...other.dataKey, keyId: honest.dataKey.keyId } };
    for (const wrong of [other, liar]) {
      const leaseOf: LeaseOfPart = (part) => (part.name === 'content' ? wrong : byName(part));
      assert.throws(() => openEvent({ record, leaseOf }), tampered);
    }
  });
});

describe('erased, unknown and tampered', () => {
  const refusing =
    (name: string, status: Refused['status']): LeaseOfPart =>
    (part) =>
      part.name === name ? { granted: false, status } : byName(part);

  it('are told apart', () => {
    const record = sample.sealed();
    const opened = openEvent({ record, leaseOf: refusing('author', 'erased') });
    assert.deepEqual(opened.erasedParts, ['author', 'cc/1']);
    assert.deepEqual(
      splitEvent(sample.event.shape, opened.eventBytes).map(({ fieldNumber }) => fieldNumber),
      [1, 2, 4],
    );
    for (const status of ['unknown_key', 'unknown_ticket', 'owner_fenced'] as const) {
      assert.throws(() => openEvent({ record, leaseOf: refusing('author', status) }), {
        reason: 'KEY_UNKNOWN',
      });
    }
  });

  it('an erased lease stays erased whatever the box says, a live one never becomes erased', () => {
    const record = sample.sealed();
    const { box } = partNamed(record, 'author');
    const boxes = [Buffer.alloc(0), box.subarray(0, 20)];
    for (let index = 0; index < box.length; index += 1) boxes.push(flipped(box, index));
    for (const other of boxes) {
      const parts = record.parts.map((part) =>
        part.name === 'author' ? { ...part, box: other } : part,
      );
      const changed = { ...record, parts };
      assert.ok(openRequestsOf(changed, (kind) => kind === 'person').length === 2);
      const { erasedParts } = openEvent({ record: changed, leaseOf: refusing('author', 'erased') });
      assert.deepEqual(erasedParts, ['author', 'cc/1']);
      assert.throws(() => openEvent({ record: changed, leaseOf: byName }), tampered);
    }
  });

  it('what is no box at all is tampered, not unknown', () => {
    const record = sample.sealed();
    const parts = record.parts.map((part) =>
      part.name === 'author' ? { ...part, box: Buffer.alloc(0) } : part,
    );
    const leaseOf = refusing('author', 'unknown_key');
    assert.throws(() => openEvent({ record: { ...record, parts }, leaseOf }), tampered);
  });

  it('a part cannot be passed off as erased at append', () => {
    const record = sample.sealed();
    const parts = record.parts.map((part) =>
      part.name === 'author' ? { ...part, erasedAtAppend: true } : part,
    );
    const leaseOf: LeaseOfPart = (part) => (part.name === 'author' ? byName(part) : 'skip');
    assert.throws(() => openEvent({ record: { ...record, parts }, leaseOf }), tampered);
  });

  it('an authentic part that this version does not know is an error of its own', () => {
    const { event } = sample;
    const shape = { ...event.shape, type: 'Unheard' };
    const header = { ...event.header, type: 'Unheard' };
    const record = { ...sample.sealed(), header, parts: sealEvent({ ...event, shape, header }) };
    assert.throws(() => openEvent({ record, leaseOf: byName }), { reason: 'EVENT_TYPE_UNKNOWN' });
  });
});

describe('leases while sealing and opening', () => {
  function leaseThatExpiresAfter(looks: number): SealLease {
    let left = looks;
    return {
      ...lease('content'),
      assertUsable: () => {
        left -= 1;
        if (left < 0) throw new ServiceError('LEASE_EXPIRED');
      },
    };
  }

  for (const looks of [0, 1]) {
    const when = looks === 0 ? 'before' : 'during';
    it(`a lease that ends ${when} sealing or opening gives neither box nor plaintext`, () => {
      const { event } = sample;
      const sealWith = leaseThatExpiresAfter(looks);
      const leaseOf = (part: EventPart): SealLease | ErasedPart =>
        part.name === 'content' ? sealWith : event.leaseOf(part);
      assert.throws(() => sealEvent({ ...event, leaseOf }), { reason: 'LEASE_EXPIRED' });
      const openWith = leaseThatExpiresAfter(looks);
      assert.throws(
        () =>
          openEvent({
            record: sample.sealed(),
            leaseOf: (part) => (part.name === 'content' ? openWith : 'skip'),
          }),
        { reason: 'LEASE_EXPIRED' },
      );
    });
  }

  it('each box takes its plaintext from the claim before it is sealed', () => {
    const taken: number[] = [];
    const counted = { ...lease('content'), take: (bytes: number) => taken.push(bytes) };
    const { event } = sample;
    const leaseOf = (part: EventPart): SealLease | ErasedPart =>
      part.name === 'content' ? counted : event.leaseOf(part);
    sealEvent({ ...event, leaseOf });
    const content = event.parts.find(({ name }) => name === 'content');
    assert.deepEqual(taken, [content?.bytes.length]);
    const spent = {
      ...counted,
      take: () => {
        throw new ServiceError('LEASE_CLAIM_EXHAUSTED');
      },
    };
    const leaseOfSpent = (part: EventPart): SealLease | ErasedPart =>
      part.name === 'content' ? spent : event.leaseOf(part);
    assert.throws(() => sealEvent({ ...event, leaseOf: leaseOfSpent }), {
      reason: 'LEASE_CLAIM_EXHAUSTED',
    });
  });
});
