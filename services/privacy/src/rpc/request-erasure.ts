import type {
  RequestErasureRequest,
  RequestErasureResponse,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { failureFields } from '@lethe/platform/errors/failure.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { requireTenant } from '@lethe/platform/grpc/caller.ts';
import type { CallContext, Peers, UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import { invalidFields } from '@lethe/platform/grpc/parse-request.ts';
import type { ErasureId, TenantId, Token } from '@lethe/platform/ids/ids.ts';
import { newUuid } from '@lethe/platform/ids/new-id.ts';
import type { Clock, RandomBytes } from '@lethe/platform/lifecycle/clock.ts';
import type { Logger } from '@lethe/platform/log/logger.ts';
import type { Kysely } from 'kysely';
import type { Erasure } from '../domain/erasure.ts';
import type { ErasureWriter } from '../erasure-writer.ts';
import { type PersonResolver, resolvePersons } from '../persons.ts';
import { previewErasure } from '../preview.ts';
import type { PrivacySchema } from '../schema.ts';
import { readErasure } from '../store.ts';
import { readTenant } from '../tenant-store.ts';
import { erasureMessageOf } from './erasure-message.ts';
import { type ErasureWish, parseErasureWish } from './parse-erasure-wish.ts';

export interface RequestErasurePorts {
  readonly db: Kysely<PrivacySchema>;
  readonly peers: Peers;
  readonly persons: PersonResolver;
  readonly writer: ErasureWriter;
  /** Takes the steps of an erasure that can be taken now. */
  readonly advance: (erasureId: ErasureId, signal: AbortSignal) => Promise<unknown>;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly logger: Logger;
}

/** An id is one tenant's for ever. */
function refuseForeign(erasure: Erasure, tenantId: TenantId): void {
  if (erasure.tenantId === tenantId) return;
  throw invalidFields([{ field: 'erasure_id', description: 'is in use; choose a new UUID' }]);
}

/** The first erasure with this id, if the tenant asked for it before. */
async function earlierErasure(
  ports: RequestErasurePorts,
  tenantId: TenantId,
  { erasureId, isDryRun }: ErasureWish,
): Promise<Erasure | undefined> {
  if (erasureId === undefined || isDryRun) return undefined;
  const erasure = await readErasure(ports.db, erasureId);
  if (erasure !== undefined) refuseForeign(erasure, tenantId);
  return erasure;
}

/** Whom the wish is about: all who have the id, or those whom the officer confirms. Throws PERSON_UNKNOWN. */
async function personsOf(
  ports: RequestErasurePorts,
  tenantId: TenantId,
  { person, confirmed }: ErasureWish,
): Promise<readonly Token[]> {
  const found = await resolvePersons(ports.persons, tenantId, person);
  if (found.length === 0) throw new ServiceError('PERSON_UNKNOWN');
  if (confirmed.some((token) => !found.includes(token))) {
    const description = 'must be persons who have this id';
    throw invalidFields([{ field: 'confirmed_person_tokens', description }]);
  }
  return confirmed.length === 0 ? found : confirmed;
}

/**
 * The fence at once: it starts the first clock. If it fails or this process dies, the committed request stands and the
 * driver's next round fences, so the caller is answered either way.
 */
async function advanceNow(
  ports: RequestErasurePorts,
  erasure: Erasure,
  call: CallContext,
): Promise<void> {
  try {
    await ports.advance(erasure.erasureId, call.signal);
  } catch (error) {
    const fields = {
      tenant: erasure.tenantId,
      erasure: erasure.erasureId,
      ...failureFields(error),
    };
    ports.logger.warn(fields, 'the fence waits for a retry');
  }
}

/** See the proto. Throws INVALID_FIELDS, TENANT_UNKNOWN, PERSON_UNKNOWN, PERSON_AMBIGUOUS. */
export function requestErasure(
  ports: RequestErasurePorts,
): UnaryHandler<RequestErasureRequest, RequestErasureResponse> {
  return async (request, call) => {
    const tenantId = requireTenant(call);
    const wish = parseErasureWish(request);
    const tenant = await readTenant(ports.db, tenantId);
    if (tenant?.registeredAtMs === undefined) throw new ServiceError('TENANT_UNKNOWN');
    const earlier = await earlierErasure(ports, tenantId, wish);
    if (earlier !== undefined) return { erasure: erasureMessageOf(earlier), preview: undefined };
    const personTokens = await personsOf(ports, tenantId, wish);
    if (wish.isDryRun) {
      const preview = await previewErasure(ports.peers, tenantId, personTokens, call.signal);
      return { erasure: undefined, preview };
    }
    if (personTokens.length > 1 && wish.confirmed.length === 0) {
      const message = `${personTokens.length} persons share this id. Preview with dry_run, then confirm them by token.`;
      throw new ServiceError('PERSON_AMBIGUOUS', message);
    }
    const erasureId = wish.erasureId ?? newUuid(ports.clock, ports.randomBytes);
    const requestedAtMs = ports.clock.nowMs();
    const { ground } = wish;
    const committed = await ports.writer.apply(erasureId, {
      type: 'request',
      request: { tenantId, erasureId, ground, personTokens, requestedAtMs },
    });
    // Another tenant's request with the same id may have come between the look above and the commit.
    refuseForeign(committed, tenantId);
    await advanceNow(ports, committed, call);
    const erasure = await readErasure(ports.db, erasureId);
    return { erasure: erasureMessageOf(erasure ?? committed), preview: undefined };
  };
}
