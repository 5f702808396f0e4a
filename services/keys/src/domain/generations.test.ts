import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  type Claim,
  decideSeal,
  factsKeySealsMs,
  incarnationToFence,
  kibPerKeyMax,
  leaseTtlMaxMs,
  messagesPerKeyMax,
  type NewestKey,
  type SealQuestion,
} from './generations.ts';

const question: SealQuestion = {
  kind: 'person',
  claim: { messages: 1, kib: 1 },
  newest: undefined,
  fence: undefined,
  mayReturn: true,
  owner: undefined,
  nowMs: 1_000_000_000_000,
};

const newest: NewestKey = {
  incarnation: 1,
  generation: 1,
  claimedMessages: 0,
  claimedKib: 0,
  createdAtMs: question.nowMs,
};

const fence = { incarnation: 4, cutOffMs: 1 };

describe('decideSeal', () => {
  it('makes the first key of a scope', () => {
    const make = { kind: 'make', incarnation: 1, generation: 1 };
    assert.deepEqual(decideSeal(question), make);
    assert.deepEqual(decideSeal({ ...question, kind: 'facts' }), make);
  });

  it('makes a first ticket key only with a living owner', () => {
    const ticket = { ...question, kind: 'ticket' } as const;
    assert.deepEqual(decideSeal(ticket), { kind: 'refuse', status: 'unknown_ticket' });
    const fenced = { ...ticket, owner: { incarnation: 2, fencedIncarnation: 2 } };
    assert.deepEqual(decideSeal(fenced), { kind: 'refuse', status: 'owner_fenced' });
    const living = { ...ticket, owner: { incarnation: 3, fencedIncarnation: 2 } };
    assert.deepEqual(decideSeal(living), { kind: 'make', incarnation: 1, generation: 1 });
  });

  it('asks nothing of the owner of a ticket that exists', () => {
    const owner = { incarnation: 2, fencedIncarnation: 2 };
    assert.deepEqual(decideSeal({ ...question, kind: 'ticket', owner, newest }), { kind: 'use' });
  });

  it('follows a fence: a ticket never, a person as the tenant wants', () => {
    const erased = { kind: 'refuse', status: 'erased' };
    assert.deepEqual(decideSeal({ ...question, kind: 'ticket', fence }), erased);
    assert.deepEqual(decideSeal({ ...question, fence, mayReturn: false }), erased);
    assert.deepEqual(decideSeal({ ...question, fence }), {
      kind: 'make',
      incarnation: 5,
      generation: 1,
    });
  });

  it('ends a facts key early enough for its last lease, and no other by time', () => {
    const lastMs = newest.createdAtMs + factsKeySealsMs - leaseTtlMaxMs - 1;
    const facts = { ...question, kind: 'facts', newest } as const;
    assert.deepEqual(decideSeal({ ...facts, nowMs: lastMs }), { kind: 'use' });
    const next = { kind: 'make', incarnation: 1, generation: 2 };
    assert.deepEqual(decideSeal({ ...facts, nowMs: lastMs + 1 }), next);
    assert.deepEqual(decideSeal({ ...question, newest, nowMs: lastMs * 2 }), { kind: 'use' });
  });

  it('law: whatever is claimed in whatever order, no key passes its caps', () => {
    const claims = fc.array(
      fc.record({
        messages: fc.integer({ min: 0, max: messagesPerKeyMax }),
        kib: fc.integer({ min: 0, max: kibPerKeyMax }),
      }),
    );
    fc.assert(
      fc.property(claims, (all: readonly Claim[]) => {
        let key: NewestKey | undefined;
        for (const claim of all) {
          const decision = decideSeal({ ...question, claim, newest: key });
          assert.notEqual(decision.kind, 'refuse');
          const before =
            decision.kind === 'make'
              ? { ...newest, ...decision, claimedMessages: 0, claimedKib: 0 }
              : key;
          assert.ok(before !== undefined);
          assert.ok(key === undefined || before.generation >= key.generation);
          key = {
            ...before,
            claimedMessages: before.claimedMessages + claim.messages,
            claimedKib: before.claimedKib + claim.kib,
          };
          assert.ok(key.claimedMessages <= messagesPerKeyMax && key.claimedKib <= kibPerKeyMax);
        }
      }),
    );
  });
});

describe('incarnationToFence', () => {
  it('is the living one, also of somebody who has sealed nothing yet', () => {
    assert.equal(incarnationToFence(undefined), 1);
    assert.equal(incarnationToFence(fence), 5);
  });
});
