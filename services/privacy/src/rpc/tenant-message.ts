import type { Tenant as TenantMessage } from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import type { Tenant } from '../tenant-store.ts';

export function tenantMessageOf({ tenantId, settings, registeredAtMs }: Tenant): TenantMessage {
  return {
    tenantId,
    settings: { ...settings },
    registeredAt: registeredAtMs === undefined ? undefined : new Date(registeredAtMs),
  };
}
