import { methodAccess } from '@lethe/proto/access.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { Caller } from '../grpc/handler.ts';

/**
 * Holds the access table (proto/access.ts) against a caller, before the request is decoded.
 * Throws METHOD_NOT_LISTED, TOKEN_MISSING, SERVICES_ONLY, ROLE_REQUIRED, TENANT_REQUIRED.
 */
export function authorize(methodPath: string, caller: Caller): void {
  const access = Object.hasOwn(methodAccess, methodPath) ? methodAccess[methodPath] : undefined;
  if (access === undefined) throw new ServiceError('METHOD_NOT_LISTED');
  switch (access.kind) {
    case 'open':
      return;
    case 'services':
      if (caller.kind !== 'service') throw new ServiceError('SERVICES_ONLY');
      if (!access.services.includes(caller.service)) {
        throw new ServiceError(
          'SERVICES_ONLY',
          `The service ${caller.service} may not call this method.`,
        );
      }
      return;
    case 'roles':
      requireRole(access.roles, caller);
  }
}

function requireRole(allowed: readonly string[], caller: Caller): void {
  if (caller.kind === 'anonymous') throw new ServiceError('TOKEN_MISSING');
  if (caller.kind === 'service') throw new ServiceError('ROLE_REQUIRED');
  if (!caller.roles.some((role) => allowed.includes(role))) {
    throw new ServiceError('ROLE_REQUIRED', `This method needs the role ${allowed.join(' or ')}.`);
  }
  if (caller.kind === 'platform' && !allowed.includes('platform-admin')) {
    throw new ServiceError('TENANT_REQUIRED');
  }
}
