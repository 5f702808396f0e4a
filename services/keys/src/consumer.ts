import type { Transaction } from 'kysely';
import type { ConsumerEffect, NewRecord } from '@lethe/platform/consumer/port.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import { storeReceipt } from '@lethe/platform/receipts/receipts.ts';
import { ensureErased, fenceErasure } from './fencing.ts';
import type { TenantKeyrings } from './hierarchy/tenant-keyrings.ts';
import type { ErasureToRevoke } from './holders.ts';
import { type PrivacyFact, parsePrivacyFact } from './privacy-facts.ts';
import type { KeysSchema } from './store/schema.ts';
import { setMayReturn } from './store/tenants.ts';

export interface PrivacyEffectPorts {
  readonly keyrings: TenantKeyrings;
  readonly clock: Clock;
  /** Pushes revocations, after the commit. */
  readonly revoke: (erasure: ErasureToRevoke) => void;
  /** Receipts or clocks may have something to do. */
  readonly wake: () => void;
}

export interface PreparedFacts {
  readonly facts: readonly PrivacyFact[];
  /** What the transaction has newly fenced; filled by `apply`. */
  readonly revocations: ErasureToRevoke[];
}

/**
 * What `keys` does with privacy.v1: it creates tenants, follows their policy for returning persons, and sees to it that
 * every erasure is fenced here, whether or not the call for it arrived and whatever state the store was restored to.
 */
export function createPrivacyEffect(
  ports: PrivacyEffectPorts,
): ConsumerEffect<KeysSchema, PreparedFacts> {
  return {
    prepare: async (_from, records) => {
      const facts = records.flatMap(factsOf);
      for (const fact of facts) {
        if (fact.kind === 'tenant') await ports.keyrings.create(fact.tenantId, fact.mayReturn);
      }
      return { facts, revocations: [] };
    },
    apply: async (tx, { facts, revocations }) => {
      // A transaction that is run again begins anew.
      revocations.length = 0;
      for (const fact of facts) {
        const revocation = await applyFact(tx, fact, ports.clock.nowMs());
        if (revocation !== undefined) revocations.push(revocation);
      }
    },
    // If the process dies before this, the unreadable clock and the receipt sender find the rows after the restart.
    committed: ({ revocations }) => {
      for (const revocation of revocations) ports.revoke(revocation);
      ports.wake();
    },
  };
}

function factsOf({ record, sequence }: NewRecord): readonly PrivacyFact[] {
  const fact = parsePrivacyFact(record);
  if (fact === 'unknown') {
    throw new ServiceError(
      'EVENT_TYPE_UNKNOWN',
      `privacy.v1 has an event at ${sequence} that this version of keys does not know`,
    );
  }
  return fact === undefined ? [] : [fact];
}

/** Runs inside the consumer's transaction; answers what is to be revoked after it. */
async function applyFact(
  tx: Transaction<KeysSchema>,
  fact: PrivacyFact,
  nowMs: number,
): Promise<ErasureToRevoke | undefined> {
  switch (fact.kind) {
    case 'tenant':
    case 'settings':
      await setMayReturn(tx, fact.tenantId, fact.mayReturn);
      return undefined;
    case 'requested': {
      const { scopes, isNew } = await fenceErasure(tx, { ...fact, nowMs });
      return isNew ? revocationOf(fact, scopes) : undefined;
    }
    case 'erased': {
      const { answer, scopes, isNew } = await ensureErased(tx, { ...fact, nowMs });
      await storeKeysReceipt(tx, fact, answer.keysDestroyed, nowMs);
      return isNew ? revocationOf(fact, scopes) : undefined;
    }
  }
}

type Erasure = Extract<PrivacyFact, { kind: 'requested' | 'erased' }>;

function revocationOf(
  { tenantId, erasureId }: Erasure,
  scopes: ErasureToRevoke['scopes'],
): ErasureToRevoke {
  return { tenantId, erasureId, scopes };
}

async function storeKeysReceipt(
  tx: Transaction<KeysSchema>,
  { tenantId, erasureId }: { readonly tenantId: TenantId } & Erasure,
  keysDestroyed: number,
  nowMs: number,
): Promise<void> {
  await storeReceipt(tx, tenantId, {
    erasureId,
    receipt: {
      service: 'keys',
      records: 0n,
      rows: BigInt(keysDestroyed),
      boxesUnreadable: 0n,
      ledgerComplete: true,
      finishedAt: new Date(nowMs),
    },
  });
}
