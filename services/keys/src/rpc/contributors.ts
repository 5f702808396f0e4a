import { createSecretKey } from 'node:crypto';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import { parseErasureId } from '@lethe/platform/grpc/parse-request.ts';
import { createContributorMaker } from '@lethe/platform/ids/token-maker.ts';
import {
  type ContributorsRequest,
  type ContributorsResponse,
  FenceResponse,
} from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { openMonths } from '../domain/months.ts';
import { scopesOf } from '../fencing.ts';
import { readContributorKeys } from '../store/contributor-keys.ts';
import { findErasure } from '../store/erase-scopes.ts';
import { lockTenantShared } from '../store/tenants.ts';
import type { KeysContext } from './context.ts';
import { parseTenantId } from './parsing.ts';

/**
 * Computed at each call from the tokens in the stored answer and the living month keys: nothing is kept that would
 * outlive a month's key. Throws KEYS_CATCHING_UP, TENANT_UNKNOWN, ERASURE_UNKNOWN, INVALID_FIELDS.
 */
export function contributorsHandler(
  context: KeysContext,
): UnaryHandler<ContributorsRequest, ContributorsResponse> {
  return async (request) => {
    // A restored store may not know the erasure yet: the caller waits, instead of being told that there is none.
    context.catchUp.require();
    const tenantId = parseTenantId(request.tenantId);
    const erasureId = parseErasureId(request.erasureId);
    const open = openMonths(context.clock.nowMs(), context.monthGraceMs);
    return context.keyrings.use(tenantId, async (keyring) => {
      const { tenantNumber } = keyring;
      const { erasure, monthKeys } = await context.db.transaction().execute(async (tx) => {
        await lockTenantShared(tx, keyring);
        return {
          erasure: await findErasure(tx, tenantNumber, erasureId),
          monthKeys: await readContributorKeys(tx, tenantNumber, open),
        };
      });
      if (erasure === undefined) {
        throw new ServiceError('ERASURE_UNKNOWN', `Erasure ${erasureId} has not been fenced.`);
      }
      const persons = scopesOf(FenceResponse.decode(erasure.answer)).flatMap(({ scope }) =>
        scope.kind === 'person' ? [scope.token] : [],
      );
      return {
        months: monthKeys.map(({ month, wrapped }) => {
          const secretBytes = keyring.requireUnwrapped({ what: 'contributor-key', month }, wrapped);
          const contributorOf = createContributorMaker(createSecretKey(secretBytes));
          return { month, contributors: persons.map(contributorOf) };
        }),
      };
    });
  };
}
