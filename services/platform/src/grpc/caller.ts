import { ServiceError } from '../errors/service-error.ts';
import type { TenantId } from '../ids/ids.ts';
import type { CallContext } from './handler.ts';
import type { ServiceName } from '@lethe/proto/access.ts';

/** The tenant of the access token; there is no other source of a tenant. Throws TENANT_REQUIRED. */
export function requireTenant(call: CallContext): TenantId {
  if (call.caller.kind !== 'tenant') throw new ServiceError('TENANT_REQUIRED');
  return call.caller.tenantId;
}

/** The calling service, by its certificate. Throws SERVICES_ONLY. */
export function requireService(call: CallContext): ServiceName {
  if (call.caller.kind !== 'service') throw new ServiceError('SERVICES_ONLY');
  return call.caller.service;
}
