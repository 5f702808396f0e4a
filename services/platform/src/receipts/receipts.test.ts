import assert from 'node:assert/strict';
import { type Kysely, sql } from 'kysely';
import { pino } from 'pino';
import {
  ErasureReceipt,
  ReceiptServiceService,
  type RecordReceiptRequest,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { ServiceError } from '../errors/service-error.ts';
import { createInProcessNetwork } from '../grpc/in-process.ts';
import { registerService } from '../grpc/register.ts';
import type { ErasureId, TenantId } from '../ids/ids.ts';
import type { Loop } from '../lifecycle/loop.ts';
import { systemClock } from '../lifecycle/clock.ts';
import { openTestDatabase } from '../testing/test-database.ts';
import { until } from '../testing/until.ts';
import { createReceiptSender } from './receipt-sender.ts';
import { createReceiptTables, storeReceipt, unsentReceipts } from './receipts.ts';

const tenantId = 'acme' as TenantId;
const erasureIds = [1, 2, 3].map(
  (place) => `00000000-0000-7000-8000-00000000000${place}` as ErasureId,
);
const [first, second, third] = erasureIds as [ErasureId, ErasureId, ErasureId];

const receiptOf = (records: bigint): ErasureReceipt =>
  ErasureReceipt.fromPartial({
    service: 'tickets',
    records,
    rows: 7n,
    boxesUnreadable: 2n,
    ledgerComplete: true,
    finishedAt: new Date(1_700_000_000_000),
  });

describe('receipts', function () {
  this.timeout(60_000);
  let db: Kysely<unknown>;
  let running: Loop[];
  beforeEach(async () => {
    running = [];
    db = await openTestDatabase('receipts');
    await createReceiptTables(db);
  });
  afterEach(async () => {
    for (const loop of running) await loop.stop();
  });

  const store = (erasureId: ErasureId, records: bigint): Promise<void> =>
    db
      .transaction()
      .execute((tx) => storeReceipt(tx, tenantId, { erasureId, receipt: receiptOf(records) }));
  /** A sender whose `privacy` is `answer`. */
  const senderTo = (
    answer: (request: RecordReceiptRequest) => void,
    lines: string[] = [],
  ): Loop => {
    const network = createInProcessNetwork();
    const recordReceipt = async (request: RecordReceiptRequest): Promise<object> => {
      answer(request);
      return {};
    };
    network.register('privacy', [registerService(ReceiptServiceService, { recordReceipt })]);
    const sender = createReceiptSender({
      db,
      peer: network.peersFor('tickets')('privacy'),
      clock: systemClock,
      logger: pino({ level: 'warn' }, { write: (line: string) => lines.push(line) }),
    });
    running.push(sender);
    return sender;
  };
  const allSent = async (): Promise<boolean> => (await unsentReceipts(db, 9)).length === 0;

  it('the first receipt of an erasure stands', async () => {
    await store(first, 1n);
    await store(first, 99n);
    assert.deepEqual(await unsentReceipts(db, 9), [
      { tenantId, erasureId: first, receipt: receiptOf(1n) },
    ]);
  });

  it('are sent as stored, once privacy has them never again', async () => {
    const received: RecordReceiptRequest[] = [];
    await store(first, 3n);
    const sender = senderTo((request) => received.push(request));
    sender.start();
    await until(allSent);
    await store(second, 4n);
    sender.wake();
    await until(allSent);
    await sender.stop();
    const later = senderTo((request) => received.push(request));
    later.start();
    later.wake();
    await later.stop();
    assert.deepEqual(received, [
      { tenantId, erasureId: first, receipt: receiptOf(3n) },
      { tenantId, erasureId: second, receipt: receiptOf(4n) },
    ]);
  });

  it('are sent until privacy has them, and one that it refuses holds back no other', async () => {
    const calls = new Map<string, number>();
    for (const erasureId of erasureIds) await store(erasureId, 1n);
    const lines: string[] = [];
    const sender = senderTo(({ erasureId }) => {
      const count = (calls.get(erasureId) ?? 0) + 1;
      calls.set(erasureId, count);
      if (erasureId === first && count < 3) throw new ServiceError('STORE_UNAVAILABLE');
    }, lines);
    sender.start();
    await until(allSent);
    assert.deepEqual(
      [first, second, third].map((erasureId) => calls.get(erasureId)),
      [3, 1, 1],
    );
    assert.equal(lines.length, 2, 'each refusal is told');
    assert.ok(lines.every((line) => line.includes('STORE_UNAVAILABLE')));
  });

  it('are sent although more than a page of earlier ones is refused', async () => {
    const last = 'ffffffff-0000-7000-8000-000000000000' as ErasureId;
    await sql`insert into receipts (erasure_id, tenant_id, receipt)
      select '00000000-0000-7000-8000-' || lpad(place::text, 12, '0'), ${tenantId}, ''::bytea
      from generate_series(1, 150) as place`.execute(db);
    await store(last, 1n);
    const sender = senderTo(({ erasureId }) => {
      if (erasureId !== last) throw new ServiceError('ERASURE_UNKNOWN');
    });
    sender.start();
    await until(async () => (await unsentReceipts(db, 999)).every((one) => one.erasureId !== last));
    assert.equal((await unsentReceipts(db, 999)).length, 150);
  });

  it('are sent again when the process died before it noted the answer', async () => {
    let count = 0;
    await store(first, 1n);
    const sender = senderTo(() => {
      count += 1;
    });
    sender.start();
    await until(allSent);
    await sender.stop();
    await sql`update receipts set sent = false`.execute(db);
    const next = senderTo(() => {
      count += 1;
    });
    next.start();
    await until(allSent);
    assert.equal(count, 2);
  });
});
