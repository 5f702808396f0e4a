import assert from 'node:assert/strict';
import { sql } from 'kysely';
import type { ContributorsResponse } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { KeyServiceService } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { type Record as LogRecord, ScopeKind } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import {
  PrivacyEvent,
  ScopesErased,
  TenantRegistered,
} from '@lethe/proto/gen/lethe/privacy/v1/events.ts';
import type { NewRecord } from '@lethe/platform/consumer/port.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { CallContext, Peer, Peers } from '@lethe/platform/grpc/handler.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { unsentReceipts } from '@lethe/platform/receipts/receipts.ts';
import { emptyRecord } from '@lethe/platform/testing/log-records.ts';
import { createPrivacyEffect } from './consumer.ts';
import { families } from './domain/families.ts';
import { monthOf } from './domain/time-buckets.ts';
import { previewErasure } from './rpc/preview-erasure.ts';
import { countTenants } from './store.ts';
import { createProjectionWorld, type ProjectionWorld } from './testing/projection-world.ts';
import { sampleEvent } from './testing/sample-events.ts';
import { sealRecord } from './testing/sealed-records.ts';

const acme = 'acme' as TenantId;
const erasureId = '01890000-0000-7000-8000-000000000001';
const erased = '00000000000000a1';
const other = '00000000000000b2';
const occurredAtMs = Date.UTC(2025, 4, 3, 12);
const month = monthOf(occurredAtMs);
const partition = { topic: 'privacy.v1', partition: 0 };

function privacyRecord(event: PrivacyEvent['event'], tenant = 'acme') {
  const record = emptyRecord('privacy');
  assert.ok(record.header);
  const clearPayload = Buffer.from(PrivacyEvent.encode({ event }).finish());
  const whole: LogRecord = {
    ...record,
    header: { ...record.header, tenantId: tenant },
    clearPayload,
  };
  return { sequence: 1n, offset: 0n, record: whole } satisfies NewRecord;
}

/** A `keys` that answers Contributors alone. */
function keysAnswering(answer: () => ContributorsResponse): Peers {
  const peer: Pick<Peer, 'unary'> = {
    unary: async (method, request) => {
      assert.equal(method.path, KeyServiceService.contributors.path);
      assert.deepEqual(request, { tenantId: 'acme', erasureId });
      const { responseSerialize } = KeyServiceService.contributors;
      return method.responseDeserialize(responseSerialize(answer()));
    },
  };
  return () => peer as Peer;
}

describe('privacy.v1 in analytics', () => {
  let world: ProjectionWorld;

  before(async function () {
    this.timeout(60_000);
    world = await createProjectionWorld('privacy-consumer');
  });

  after(async () => world.destroy());

  async function consume(peers: Peers, records: readonly NewRecord[]): Promise<number> {
    let receipts = 0;
    const effect = createPrivacyEffect({
      peers,
      clock: systemClock,
      onReceipt: () => {
        receipts += 1;
      },
    });
    const prepared = await effect.prepare(partition, records);
    await world.db.transaction().execute(async (tx) => effect.apply(tx, prepared));
    effect.committed?.(prepared);
    return receipts;
  }

  const scopesErased = (obligedServices: string[]) =>
    privacyRecord({
      $case: 'scopesErased',
      value: ScopesErased.fromPartial({ erasureId, obligedServices }),
    });
  const contributors = () => ({
    months: [{ month, contributors: [Buffer.from(erased, 'hex')] }],
  });

  async function fold(contributor: string, day: number): Promise<void> {
    const event = {
      tenantId: acme,
      ...sampleEvent(0),
      occurredAtMs: occurredAtMs + day * 86_400_000,
    };
    await world.append('tickets.v1', 0, [sealRecord(world.keys, { ...event, contributor })]);
    const projection = await world.open();
    assert.equal(await world.drain(projection), 1);
    await projection.close();
  }

  async function created(): Promise<readonly string[]> {
    const cells = [...(await world.cells()).values()];
    const sum = (column: string) =>
      cells.reduce((total, cell) => total + BigInt(cell[column] ?? '0'), 0n).toString();
    return [sum('exact_created'), sum('accepted_day_created')];
  }

  it('counts each tenant once', async () => {
    const registeredAt = new Date(occurredAtMs);
    const value = TenantRegistered.fromPartial({ registeredAt });
    const event: PrivacyEvent['event'] = { $case: 'tenantRegistered', value };
    const records = ['acme', 'bolt', 'acme'].map((tenant) => privacyRecord(event, tenant));
    await consume(keysAnswering(contributors), records);
    assert.equal(await countTenants(world.db), 2);
  });

  it('accepts nothing more of a person who was erased, and leaves every total as it is', async () => {
    await fold(erased, 0);
    await fold(other, 0);
    assert.deepEqual(await created(), ['2', '2']);
    const before = await world.cells();
    assert.equal(await consume(keysAnswering(contributors), [scopesErased(['analytics'])]), 1);
    assert.deepEqual(await world.cells(), before);
    await fold(erased, 1);
    await fold(other, 1);
    assert.deepEqual(await created(), ['4', '3']);
  });

  it('marks every family and grain of the open months, and forgets the cells', async () => {
    const { rows } = await sql<{ family: string; grain: string; cells: string }>`
      select family, grain, cells from contribution_counters
      where contributor = ${erased} and month = ${month} and is_full order by 1, 2`.execute(
      world.db,
    );
    const marked = rows.map(({ family, grain }) => `${family}/${grain}`);
    const all = families.flatMap(({ name, release }) =>
      release.grains.map((grain) => `${name}/${grain}`),
    );
    assert.deepEqual(marked, all.toSorted());
    assert.ok(rows.every(({ cells }) => cells === ''));
  });

  it('owes one receipt, however often the event comes, and none when it is not obliged', async () => {
    await consume(keysAnswering(contributors), [scopesErased(['analytics'])]);
    await consume(keysAnswering(contributors), [scopesErased(['analytics'])]);
    const receipts = await unsentReceipts(world.db, 10);
    assert.equal(receipts.length, 1);
    assert.equal(receipts[0]?.receipt.service, 'analytics');
    assert.ok(receipts[0].receipt.ledgerComplete);
    await sql`delete from receipts`.execute(world.db);
    await consume(keysAnswering(contributors), [scopesErased(['tickets'])]);
    assert.equal((await unsentReceipts(world.db, 10)).length, 0);
  });

  it('drops what is parked of the erased, says how many and that the ledger lacks them, and keeps the fences', async () => {
    await sql`delete from receipts`.execute(world.db);
    const ticket = '1'.repeat(32);
    const user = '2'.repeat(32);
    const other = '3'.repeat(32);
    const parkedAt = { parked_at_ms: 0, log_offset: 0, reason: 'TAMPERED' };
    // As the projection parks them: a ticket, a user erased and come back, and what is nobody's here.
    const rows = [
      ['tickets.v1', 'acme', ticket, 0],
      ['predictions.v1', 'acme', ticket, 1],
      ['usage.v1', 'acme', ticket, 1],
      ['usage.v1', 'acme', user, 1],
      ['usage.v1', 'acme', user, 2],
      ['tickets.v1', 'acme', other, 1],
      ['tickets.v1', 'bolt', ticket, 1],
    ] as const;
    for (const [index, [topic, tenant, stream, incarnation]] of rows.entries()) {
      await sql`insert into parked_streams (topic, partition, tenant_id, stream)
        values (${topic}, 0, ${tenant}, ${stream}) on conflict do nothing`.execute(world.db);
      await sql`insert into parked_records (topic, partition, sequence, log_offset, tenant_id, stream,
          incarnation, record_key, record, reason, parked_at_ms)
        values (${topic}, 0, ${index + 1}, ${parkedAt.log_offset}, ${tenant}, ${stream}, ${incarnation}, '', '',
          ${parkedAt.reason}, ${parkedAt.parked_at_ms})`.execute(world.db);
    }
    const scope = (kind: ScopeKind, token: string) => ({
      kind,
      token: Buffer.from(token, 'hex'),
      incarnation: 1,
      cutOff: new Date(occurredAtMs),
    });
    const scopes = [
      scope(ScopeKind.SCOPE_KIND_TICKET, ticket),
      scope(ScopeKind.SCOPE_KIND_PERSON, user),
    ];
    const preview = previewErasure(world.db);
    const privacy: CallContext = {
      caller: { kind: 'service', service: 'privacy' },
      signal: new AbortController().signal,
    };
    assert.deepEqual(await preview({ tenantId: acme, scopes }, privacy), {
      service: 'analytics',
      records: 0n,
      rows: 3n,
      boxesUnreadable: 0n,
    });
    assert.equal((await preview({ tenantId: acme, scopes: [] }, privacy)).rows, 0n);
    const value = ScopesErased.fromPartial({ erasureId, obligedServices: ['analytics'], scopes });
    await consume(keysAnswering(contributors), [privacyRecord({ $case: 'scopesErased', value })]);
    const { rows: left } = await sql<{ sequence: bigint }>`
      select sequence from parked_records order by sequence`.execute(world.db);
    assert.deepEqual(
      left.map(({ sequence }) => sequence),
      [3n, 5n, 6n, 7n],
    );
    const [receipt] = await unsentReceipts(world.db, 10);
    assert.equal(receipt?.receipt.rows, 3n);
    assert.equal(receipt.receipt.ledgerComplete, false);
    const { rows: fences } = await sql<{
      scope: string;
    }>`select scope from fences order by 1`.execute(world.db);
    assert.deepEqual(
      fences.map((fence) => fence.scope),
      [`person/${user}`, `ticket/${ticket}`],
    );
    await sql`delete from receipts`.execute(world.db);
  });

  it('changes nothing while keys are away', async () => {
    const away = keysAnswering(() => {
      throw new ServiceError('KEYS_UNAVAILABLE');
    });
    await assert.rejects(consume(away, [scopesErased(['analytics'])]), {
      reason: 'KEYS_UNAVAILABLE',
    });
    assert.equal((await unsentReceipts(world.db, 10)).length, 0);
  });
});
