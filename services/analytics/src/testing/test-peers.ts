import { setTimeout as delay } from 'node:timers/promises';
import {
  KeyServiceService,
  LeaseStatus,
  type MonthContributors,
} from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { ScopeKind } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import {
  type ErasureReceipt,
  ReceiptServiceService,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { ServiceRegistration } from '@lethe/platform/grpc/handler.ts';
import { registerService } from '@lethe/platform/grpc/register.ts';
import { commitmentOf } from '@lethe/platform/sealing/data-key.ts';
import { testSecret } from './sealed-records.ts';

const unused = async (): Promise<never> => {
  throw new ServiceError('INTERNAL_DEFECT', 'analytics has no business here');
};

/** A `keys` that leases the facts keys of `createTestKeys`, refuses every other kind, and knows these contributors. */
export function testKeyService(months: () => readonly MonthContributors[]): ServiceRegistration {
  return registerService(KeyServiceService, {
    createTenant: unused,
    leaseTokenKey: unused,
    leaseContributorKey: unused,
    resolvePersons: unused,
    fence: unused,
    previewFence: unused,
    unreadableStatus: unused,
    lease: async ({ tenantId, scopes }) => ({
      ttlMs: 30_000,
      leases: scopes.map(({ kind, incarnation }) => {
        if (kind !== ScopeKind.SCOPE_KIND_FACTS) throw new ServiceError('SCOPE_NOT_ALLOWED');
        const dataKey = testSecret(tenantId, 'facts');
        return {
          status: LeaseStatus.LEASE_STATUS_GRANTED,
          kind,
          token: Buffer.alloc(0),
          incarnation,
          generation: 0,
          keyId: commitmentOf(dataKey),
          dataKey,
          digestKey: Buffer.alloc(32),
          ownerToken: Buffer.alloc(0),
          ownerIncarnation: 0,
          fenceCutOff: undefined,
          claimedMessages: 0,
          claimedBytes: 0n,
        };
      }),
    }),
    watchRevocations: async function* (_request, { signal }) {
      yield { revocationId: 0n, tenantId: '', scopes: [] };
      await delay(3_600_000, undefined, { signal, ref: false });
    },
    acknowledgeRevocation: async () => ({}),
    contributors: async () => ({ months: [...months()] }),
  });
}

/** A `privacy` that keeps the receipts it gets. */
export function testReceiptService(receipts: ErasureReceipt[]): ServiceRegistration {
  return registerService(ReceiptServiceService, {
    recordReceipt: async ({ receipt }) => {
      if (receipt !== undefined) receipts.push(receipt);
      return {};
    },
  });
}
