import assert from 'node:assert/strict';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import type { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { sampleEvent } from '../testing/sample-events.ts';
import { createTestKeys, sealRecord, type TestKeys } from '../testing/sealed-records.ts';
import { countRecord, leaseFacts } from './open-records.ts';

const acme = 'acme' as TenantId;
const contributor = '00000000000000a1';

function sampleRecord(keys: TestKeys, index: number, tenantId = acme): LogRecord {
  const occurredAtMs = Date.UTC(2025, 4, 1, index % 24);
  return sealRecord(keys, { tenantId, ...sampleEvent(index), occurredAtMs, contributor });
}

async function count(keys: TestKeys, record: LogRecord) {
  return countRecord(record, await leaseFacts(keys.keyClient, [record]));
}

describe('opening records for analytics', () => {
  it('leases facts and nothing else, once per tenant and key', async () => {
    const keys = createTestKeys();
    const records = Array.from({ length: 40 }, (_, index) =>
      sampleRecord(keys, index, index % 2 === 0 ? acme : ('bolt' as TenantId)),
    );
    await leaseFacts(keys.keyClient, records);
    assert.deepEqual(keys.asked, [{ kind: 'facts' }, { kind: 'facts' }]);
  });

  it('says what an event changes, when, and for whom', async () => {
    const keys = createTestKeys();
    const counted = await count(keys, sampleRecord(keys, 0));
    assert.equal(counted?.tenantId, acme);
    assert.equal(counted.occurredAtMs, Date.UTC(2025, 4, 1));
    assert.equal(counted.contributor, contributor);
    assert.deepEqual(
      counted.changes.map(({ layout }) => layout.family.name),
      ['ticket_flow'],
    );
  });

  it('knows a closed month by the contributor that is not there', async () => {
    const keys = createTestKeys();
    const event = { tenantId: acme, ...sampleEvent(0), occurredAtMs: 0, contributor: undefined };
    assert.equal((await count(keys, sealRecord(keys, event)))?.contributor, undefined);
  });

  it('never counts a resealed record, nor opens one that no family counts', async () => {
    const keys = createTestKeys();
    const resealed = { ...sampleRecord(keys, 0), resealed: true };
    assert.equal(await count(keys, resealed), undefined);
    assert.equal(await count(keys, sampleRecord(keys, 7)), undefined);
    assert.deepEqual(keys.asked, []);
  });

  it('passes over a record whose tenant was erased', async () => {
    const keys = createTestKeys();
    const record = sampleRecord(keys, 0);
    keys.refuse(acme, 'erased');
    assert.equal(await count(keys, record), undefined);
  });

  it('takes an unknown key for an error, never for erased', async () => {
    const keys = createTestKeys();
    const record = sampleRecord(keys, 0);
    keys.refuse(acme, 'unknown_key');
    await assert.rejects(count(keys, record), { reason: 'KEY_UNKNOWN' });
  });

  it('notices a changed box, a changed time and a part that was taken away', async () => {
    const keys = createTestKeys();
    const record = sampleRecord(keys, 0);
    const header = record.header;
    assert.ok(header);
    const [facts, ...others] = record.parts;
    assert.ok(facts);
    const box = Buffer.from(facts.box);
    box[box.length - 20] = (box[box.length - 20] ?? 0) ^ 1;
    const changed: readonly LogRecord[] = [
      { ...record, parts: [{ ...facts, box }, ...others] },
      { ...record, parts: [{ ...facts, box: Buffer.alloc(3) }, ...others] },
      { ...record, header: { ...header, occurredAtMs: header.occurredAtMs + 86_400_000n } },
      { ...record, header: { ...header, tenantId: 'NOT a tenant' } },
      { ...record, parts: record.parts.slice(0, -1) },
      { ...record, parts: [{ ...facts, scopeKind: 0 }, ...others] },
      { ...record, header: undefined },
    ];
    for (const tampered of changed) {
      await assert.rejects(count(keys, tampered), { reason: 'TAMPERED' });
    }
  });

  it('refuses an event type of a newer version', async () => {
    const keys = createTestKeys();
    const record = sampleRecord(keys, 0);
    assert.ok(record.header);
    const newer = { ...record, header: { ...record.header, type: 'TicketDreamed' } };
    await assert.rejects(count(keys, newer), { reason: 'EVENT_TYPE_UNKNOWN' });
  });
});
