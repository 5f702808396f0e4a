import type { Transaction } from 'kysely';
import type { ConsumerEffect, NewRecord } from '@lethe/platform/consumer/port.ts';
import { lockFencesExclusively } from '@lethe/platform/database/fence-lock.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import { storeReceipt } from '@lethe/platform/receipts/receipts.ts';
import { ensureErased, fenceErasure } from './fencing.ts';
import type { TenantKeyrings } from './hierarchy/tenant-keyrings.ts';
import { type PrivacyFact, parsePrivacyFact } from './privacy-facts.ts';
import type { KeysSchema } from './store/schema.ts';
import { setMayReturn } from './store/tenants.ts';

export interface PrivacyEffectPorts {
  readonly keyrings: TenantKeyrings;
  readonly clock: Clock;
  /** Revocations or receipts may have to be sent. */
  readonly wake: () => void;
}

/**
 * What `keys` does with privacy.v1: it creates tenants, follows their policy for returning persons, and sees to it that
 * every erasure is fenced here, whether or not the call for it arrived and whatever state the store was restored to.
 */
export function createPrivacyEffect(
  ports: PrivacyEffectPorts,
): ConsumerEffect<KeysSchema, readonly PrivacyFact[]> {
  return {
    prepare: async (_from, records) => {
      const facts = records.flatMap(factsOf);
      for (const fact of facts) {
        if (fact.kind === 'tenant') await ports.keyrings.create(fact.tenantId, fact.mayReturn);
      }
      return facts;
    },
    apply: async (tx, facts) => {
      // All at once and sorted; each erasure takes its own again.
      await lockFencesExclusively(
        tx,
        'keys',
        facts.filter(fences).map(({ tenantId }) => tenantId),
      );
      for (const fact of facts) await applyFact(tx, fact, ports.clock.nowMs());
    },
    // If the process dies before this, the unreadable clock and the receipt sender find the rows after the restart.
    committed: () => ports.wake(),
  };
}

function factsOf(record: NewRecord): readonly PrivacyFact[] {
  const fact = parsePrivacyFact(record);
  if (fact === 'unknown') {
    throw new ServiceError(
      'EVENT_TYPE_UNKNOWN',
      `privacy.v1 has an event at ${record.sequence} that this version of keys does not know`,
    );
  }
  return fact === undefined ? [] : [fact];
}

function fences({ kind }: PrivacyFact): boolean {
  return kind === 'requested' || kind === 'erased';
}

/** Runs inside the consumer's transaction. */
async function applyFact(
  tx: Transaction<KeysSchema>,
  fact: PrivacyFact,
  nowMs: number,
): Promise<void> {
  switch (fact.kind) {
    case 'tenant':
    case 'settings':
      return setMayReturn(tx, fact.tenantId, fact.mayReturn);
    case 'requested':
      await fenceErasure(tx, { ...fact, nowMs });
      return undefined;
    case 'erased': {
      const { keysDestroyed } = await ensureErased(tx, { ...fact, nowMs });
      return storeKeysReceipt(tx, fact, keysDestroyed, nowMs);
    }
  }
}

async function storeKeysReceipt(
  tx: Transaction<KeysSchema>,
  { tenantId, erasureId }: Extract<PrivacyFact, { kind: 'erased' }>,
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
