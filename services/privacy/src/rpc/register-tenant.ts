import { KeyServiceService } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { ReturningPersons } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import type {
  RegisterTenantRequest,
  RegisterTenantResponse,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { type FieldViolation, ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { Peer, UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import { invalidFields } from '@lethe/platform/grpc/parse-request.ts';
import { isTenantId, type TenantId } from '@lethe/platform/ids/ids.ts';
import { newUuid } from '@lethe/platform/ids/new-id.ts';
import type { Clock, RandomBytes } from '@lethe/platform/lifecycle/clock.ts';
import { enqueue } from '@lethe/platform/outbox/enqueue.ts';
import type { Kysely } from 'kysely';
import { outboxRowOf, privacyTopic } from '../privacy-events.ts';
import type { PrivacySchema } from '../schema.ts';
import {
  claimTenant,
  markRegistered,
  readTenant,
  type Tenant,
  type TenantSettings,
} from '../tenant-store.ts';
import { tenantMessageOf } from './tenant-message.ts';

const regionPattern = /^[a-z][a-z0-9-]{1,31}$/;
const retentionDaysMax = 3_650;
const knownReturning: ReadonlySet<number> = new Set([0, 1, 2]);
const callTimeoutMs = 10_000;

export interface RegisterTenantPorts {
  readonly db: Kysely<PrivacySchema>;
  /** `peers('keys')`. */
  readonly keys: Peer;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  /** After the commit of TenantRegistered. */
  readonly onEnqueued: () => void;
  /** See lethe.log.v1.Record; absent without telemetry. */
  readonly traceContext?: () => Buffer | undefined;
}

function parseRequest({ tenantId, settings }: RegisterTenantRequest): {
  readonly tenantId: TenantId;
  readonly settings: TenantSettings;
} {
  const { region = '', retentionDays = 0, returningPersons = 0 } = settings ?? {};
  const violations: FieldViolation[] = [];
  const refuse = (field: string, description: string): number =>
    violations.push({ field, description });
  if (!isTenantId(tenantId)) {
    refuse(
      'tenant_id',
      'must be 2 to 63 lower-case letters, digits and hyphens, starting with a letter',
    );
  }
  if (!regionPattern.test(region)) {
    refuse(
      'settings.region',
      'must be 2 to 32 lower-case letters, digits and hyphens, starting with a letter',
    );
  }
  if (retentionDays < 1 || retentionDays > retentionDaysMax) {
    refuse('settings.retention_days', `must be 1 to ${retentionDaysMax}`);
  }
  if (!knownReturning.has(returningPersons)) {
    refuse('settings.returning_persons', 'must be a known value');
  }
  if (violations.length > 0) throw invalidFields(violations);
  const isUnset = returningPersons === ReturningPersons.RETURNING_PERSONS_UNSPECIFIED;
  return {
    tenantId: tenantId as TenantId,
    settings: {
      region,
      retentionDays,
      returningPersons: isUnset ? ReturningPersons.RETURNING_PERSONS_ALLOW : returningPersons,
    },
  };
}

function isSame(left: TenantSettings, right: TenantSettings): boolean {
  return (
    left.region === right.region &&
    left.retentionDays === right.retentionDays &&
    left.returningPersons === right.returningPersons
  );
}

/** False when another call has done it meanwhile. */
async function commitRegistration(ports: RegisterTenantPorts, tenant: Tenant): Promise<boolean> {
  return await ports.db.transaction().execute(async (tx) => {
    const recordedAtMs = ports.clock.nowMs();
    if (!(await markRegistered(tx, tenant.tenantId, recordedAtMs))) return false;
    const registered = { settings: { ...tenant.settings }, registeredAt: new Date(recordedAtMs) };
    const row = outboxRowOf({
      tenantId: tenant.tenantId,
      stream: 'tenant',
      position: 1,
      eventId: newUuid(ports.clock, ports.randomBytes),
      event: { $case: 'tenantRegistered', value: registered },
      recordedAtMs,
      traceContext: ports.traceContext?.(),
    });
    await enqueue(tx, privacyTopic, [row]);
    return true;
  });
}

/**
 * 1. Claim the id with its settings: of two calls with other settings one wins here, before any key exists.
 * 2. Have `keys` make the tenant's keys; idempotent. If the process dies before or after, the next call repeats it.
 * 3. Commit the registration and its event together.
 */
export function registerTenant(
  ports: RegisterTenantPorts,
): UnaryHandler<RegisterTenantRequest, RegisterTenantResponse> {
  return async (request, call) => {
    const { tenantId, settings } = parseRequest(request);
    const tenant = await claimTenant(ports.db, tenantId, settings);
    if (!isSame(tenant.settings, settings)) {
      throw new ServiceError('TENANT_EXISTS', `Tenant ${tenantId} exists with other settings.`);
    }
    if (tenant.registeredAtMs !== undefined) {
      return { tenant: tenantMessageOf(tenant), created: false };
    }
    const keysRequest = { tenantId, returningPersons: settings.returningPersons };
    await ports.keys.unary(KeyServiceService.createTenant, keysRequest, {
      signal: call.signal,
      timeoutMs: callTimeoutMs,
    });
    const created = await commitRegistration(ports, tenant);
    if (created) ports.onEnqueued();
    const registered = await readTenant(ports.db, tenantId);
    return { tenant: tenantMessageOf(registered ?? tenant), created };
  };
}
