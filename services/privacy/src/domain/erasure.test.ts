import assert from 'node:assert/strict';
import type { ServiceName } from '@lethe/proto/access.ts';
import { ErasureGround } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import type { ErasureId, TenantId, Token } from '@lethe/platform/ids/ids.ts';
import fc from 'fast-check';
import {
  type Completion,
  decide,
  type Erasure,
  type ErasureChange,
  type ErasureCommand,
  evolve,
  type Fence,
  missingReceipts,
  nextStep,
  purgeClocks,
  type Receipt,
  type RequestedErasure,
} from './erasure.ts';

const token = 'ab'.repeat(16) as Token;
const request: RequestedErasure = {
  tenantId: 'acme' as TenantId,
  erasureId: '0198c1de-5f00-7abc-8def-0123456789ab' as ErasureId,
  ground: ErasureGround.ERASURE_GROUND_CONSENT_WITHDRAWN,
  personTokens: [token],
  requestedAtMs: 1_000,
};
const fence: Fence = {
  scopes: [{ kind: 'person', token, incarnation: 1, cutOffMs: 1_000 }],
  keysDestroyed: 3,
  fencedAtMs: 1_010,
  obliged: ['tickets', 'keys'],
};
const receiptOf = (service: ServiceName, finishedAtMs = 2_000): Receipt => ({
  service,
  recordsTombstoned: 2,
  rowsDeleted: 1,
  boxesUnreadable: 0,
  ledgerComplete: true,
  finishedAtMs,
});
const completion: Completion = {
  purgedAtMs: 2_000,
  physicallyGoneByMs: 3_000,
  certificateJws: 'a.b.c',
};

const requested: ErasureChange = { type: 'requested', request };
const fenced: ErasureChange = { type: 'fenced', fence };
const unreadable: ErasureChange = { type: 'becameUnreadable', unreadableAtMs: 1_500 };
const received = (service: ServiceName): ErasureChange => ({
  type: 'receiptRecorded',
  receipt: receiptOf(service),
});
const completed: ErasureChange = { type: 'completed', completion };

function stateAfter(changes: readonly ErasureChange[]): Erasure | undefined {
  let state: Erasure | undefined;
  for (const change of changes) state = evolve(state, change);
  return state;
}

function given(...changes: ErasureChange[]) {
  const state = stateAfter(changes);
  return {
    when: (command: ErasureCommand) => ({
      gives: (...expected: ErasureChange[]) => assert.deepEqual(decide(command, state), expected),
      fails: (rule: RegExp) => assert.throws(() => decide(command, state), rule),
    }),
    nextIs: (step: string) => assert.equal(state && nextStep(state), step),
  };
}

const receipt = (service: ServiceName): ErasureCommand => ({
  type: 'recordReceipt',
  receipt: receiptOf(service),
});
const recordFence: ErasureCommand = { type: 'recordFence', fence };
const recordUnreadable: ErasureCommand = { type: 'recordUnreadable', unreadableAtMs: 1_500 };
const complete: ErasureCommand = { type: 'complete', completion };

describe('an erasure', () => {
  it('is requested once', () => {
    given().when({ type: 'request', request }).gives(requested);
    given(requested).when({ type: 'request', request }).gives();
  });

  it('takes the first fence, and the first answer to the unreadable clock', () => {
    given(requested).when(recordFence).gives(fenced);
    given(requested, fenced).when(recordFence).gives();
    given(requested, fenced).when(recordUnreadable).gives(unreadable);
    given(requested, fenced, unreadable).when(recordUnreadable).gives();
  });

  it('never claims to be faster than its own clock, whatever the clock of keys says', () => {
    const early = { ...fence, fencedAtMs: 5 };
    const atOnce = { ...fence, fencedAtMs: request.requestedAtMs };
    given(requested)
      .when({ type: 'recordFence', fence: early })
      .gives({ type: 'fenced', fence: atOnce });
    given(requested, fenced)
      .when({ type: 'recordUnreadable', unreadableAtMs: 5 })
      .gives({ type: 'becameUnreadable', unreadableAtMs: fence.fencedAtMs });
  });

  it('takes one receipt of each obliged service', () => {
    given(requested, fenced).when(receipt('tickets')).gives(received('tickets'));
    given(requested, fenced, received('tickets')).when(receipt('tickets')).gives();
    given(requested, fenced).when(receipt('usage')).gives();
  });

  it('keeps a receipt that is faster than the answer to the fence', () => {
    given(requested).when(receipt('keys')).gives(received('keys'));
    const early = stateAfter([requested, received('keys'), fenced]);
    assert.deepEqual(early && missingReceipts(early), ['tickets']);
  });

  it('completes when every obliged receipt is in and nobody can read', () => {
    const receipts = [received('tickets'), received('keys')];
    given(requested, fenced, unreadable, ...receipts)
      .when(complete)
      .gives(completed);
    given(requested, fenced, unreadable, ...receipts, completed)
      .when(complete)
      .gives();
    given(requested, fenced, ...receipts)
      .when(complete)
      .fails(/ask-unreadable/);
    given(requested, fenced, unreadable, received('keys'))
      .when(complete)
      .fails(/wait-for-receipts/);
    given(requested, ...receipts)
      .when(complete)
      .fails(/fence/);
  });

  it('changes no more once it is completed', () => {
    const all = [requested, fenced, unreadable, received('tickets'), received('keys'), completed];
    given(...all)
      .when(receipt('tickets'))
      .gives();
    given(...all)
      .when(recordFence)
      .gives();
  });

  it('refuses what comes before the request or the fence', () => {
    given()
      .when(recordFence)
      .fails(/needs an erasure/);
    given(requested)
      .when(recordUnreadable)
      .fails(/before the fence/);
  });

  it('knows its next step at every point', () => {
    given(requested).nextIs('fence');
    given(requested, received('keys'), received('tickets')).nextIs('fence');
    given(requested, fenced).nextIs('ask-unreadable');
    given(requested, fenced, unreadable).nextIs('wait-for-receipts');
    given(requested, fenced, unreadable, received('keys')).nextIs('wait-for-receipts');
    const all = [requested, fenced, unreadable, received('keys'), received('tickets')];
    given(...all).nextIs('complete');
    given(...all, completed).nextIs('done');
  });

  it('ends the same in whatever order and however often the answers come', () => {
    const commands: ErasureCommand[] = [receipt('tickets'), receipt('keys'), recordFence];
    const orders = fc.shuffledSubarray([...commands, ...commands], { minLength: 6 });
    fc.assert(
      fc.property(orders, (order) => {
        let state = evolve(undefined, requested);
        for (const command of order) state = decide(command, state).reduce(evolve, state);
        for (const change of decide(recordUnreadable, state)) state = evolve(state, change);
        assert.equal(nextStep(state), 'complete');
        assert.equal(state.receipts.length, 2);
      }),
    );
  });
});

describe('the purge clocks', () => {
  const horizons = { compactionBoundMs: 100, backupHorizonMs: 1_000 };
  const erasure = (...finishedAtMs: number[]): Erasure => ({
    ...evolve(undefined, requested),
    receipts: finishedAtMs.map((at) => receiptOf('tickets', at)),
  });

  it('go by the last service, and add compaction and backups', () => {
    assert.deepEqual(purgeClocks(erasure(2_000, 4_000, 3_000), horizons, 9_000), {
      purgedAtMs: 4_000,
      physicallyGoneByMs: 5_100,
    });
  });

  it('never believe a clock that is ahead, or behind the request', () => {
    assert.equal(purgeClocks(erasure(99_000), horizons, 9_000).purgedAtMs, 9_000);
    assert.equal(purgeClocks(erasure(5), horizons, 9_000).purgedAtMs, 1_000);
  });
});
