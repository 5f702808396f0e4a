import assert from 'node:assert/strict';
import { SequenceServiceService } from '@lethe/proto/gen/lethe/log/v1/service.ts';
import { createInProcessNetwork } from '@lethe/platform/grpc/in-process.ts';
import { registerService } from '@lethe/platform/grpc/register.ts';
import { createMark } from './completeness.ts';

const { signal } = new AbortController();

interface Owner {
  heads: { partition: number; sequence: bigint }[];
  asOfMs: number | undefined;
}

/** Two owners and a ledger that say what the test wants. */
function setUp() {
  const tickets: Owner = { heads: [{ partition: 0, sequence: 5n }], asOfMs: 2_000 };
  const usage: Owner = { heads: [], asOfMs: 1_000 };
  const inserted = new Map<string, bigint>();
  const network = createInProcessNetwork();
  for (const [service, owner] of [
    ['tickets', tickets],
    ['usage', usage],
  ] as const) {
    network.register(service, [
      registerService(SequenceServiceService, {
        missing: async () => ({ erased: [] }),
        heads: async () => ({
          heads: owner.heads,
          asOf: owner.asOfMs === undefined ? undefined : new Date(owner.asOfMs),
        }),
      }),
    ]);
  }
  const mark = createMark({
    topics: ['tickets.v1', 'usage.v1'],
    peers: network.peersFor('analytics'),
    insertedSequences: async () => inserted,
  });
  return { tickets, usage, inserted, mark };
}

describe('complete up to', () => {
  it('is unset until the ledger holds what the owners had when they were asked', async () => {
    const { mark, inserted } = setUp();
    assert.equal(mark.completeUpToMs(), undefined);
    await mark.advance(signal);
    assert.equal(mark.completeUpToMs(), undefined);
    inserted.set('tickets.v1/0', 4n);
    await mark.advance(signal);
    assert.equal(mark.completeUpToMs(), undefined);
    inserted.set('tickets.v1/0', 5n);
    await mark.advance(signal);
    assert.equal(mark.completeUpToMs(), 1_000);
  });

  it('holds on to a horizon while newer events arrive, so that load does not stall it', async () => {
    const { mark, inserted, tickets, usage } = setUp();
    await mark.advance(signal);
    tickets.heads = [{ partition: 0, sequence: 900n }];
    tickets.asOfMs = 9_000;
    usage.asOfMs = 9_000;
    inserted.set('tickets.v1/0', 7n);
    await mark.advance(signal);
    assert.equal(mark.completeUpToMs(), 1_000);
    await mark.advance(signal);
    assert.equal(mark.completeUpToMs(), 1_000);
    inserted.set('tickets.v1/0', 900n);
    await mark.advance(signal);
    assert.equal(mark.completeUpToMs(), 9_000);
  });

  it('never goes back', async () => {
    const { mark, inserted, usage } = setUp();
    inserted.set('tickets.v1/0', 5n);
    await mark.advance(signal);
    usage.asOfMs = 10;
    await mark.advance(signal);
    assert.equal(mark.completeUpToMs(), 1_000);
  });

  it('waits for every partition of every topic', async () => {
    const { mark, inserted, usage } = setUp();
    usage.heads = [{ partition: 3, sequence: 1n }];
    inserted.set('tickets.v1/0', 5n);
    await mark.advance(signal);
    assert.equal(mark.completeUpToMs(), undefined);
    inserted.set('usage.v1/3', 1n);
    await mark.advance(signal);
    assert.equal(mark.completeUpToMs(), 1_000);
  });

  it('is not guessed when an owner does not say as of when', async () => {
    const { mark, usage } = setUp();
    usage.asOfMs = undefined;
    await assert.rejects(mark.advance(signal), { reason: 'INTERNAL_DEFECT' });
    assert.equal(mark.completeUpToMs(), undefined);
  });
});
