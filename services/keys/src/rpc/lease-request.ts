import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { createProblems, type Problems } from '@lethe/platform/grpc/parse-request.ts';
import type { Scope, TenantId } from '@lethe/platform/ids/ids.ts';
import { tokenFromBytes } from '@lethe/platform/ids/ids.ts';
import { parseScope } from '@lethe/platform/sealing/scope-wire.ts';
import type { ServiceName } from '@lethe/proto/access.ts';
import type { LeaseRequest, ScopeRequest } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { type Claim, kibPerKeyMax, messagesPerKeyMax } from '../domain/generations.ts';
import { type LeaseUse, mayLease, purposeName } from '../domain/scopes.ts';
import type { OpenAsk } from '../store/data-keys.ts';
import type { SealAsk } from '../store/seal-keys.ts';
import { parseHolderId, parseTenantId, parseTokens } from './parsing.ts';

export type ParsedLease = {
  readonly tenantId: TenantId;
  readonly holderId: string;
} & (
  | { readonly purpose: 'seal'; readonly asks: readonly SealAsk[] }
  | { readonly purpose: 'open'; readonly asks: readonly OpenAsk[] }
);

/** An append has at most 1,000 events with a few persons each. */
const scopesMax = 10_000;
const aliasesMax = 64;

/** Throws INVALID_FIELDS with every problem, and SCOPE_NOT_ALLOWED for what this service may never have. */
export function parseLease(request: LeaseRequest, service: ServiceName): ParsedLease {
  const tenantId = parseTenantId(request.tenantId);
  const holderId = parseHolderId(request.holderId);
  const problems = createProblems();
  const purpose = purposeName(request.purpose);
  if (purpose === undefined) problems.add('purpose', 'seal or open');
  if (request.scopes.length > scopesMax) problems.add('scopes', `at most ${scopesMax}`);
  problems.refuse();
  const scopes = request.scopes.map((ask, index) => parseAskedScope(problems, ask, index));
  problems.refuse();
  if (purpose === 'open') {
    const asks = request.scopes.map((ask, index) => parseOpenAsk(problems, ask, index, scopes));
    problems.refuse();
    requireAllowed(service, asks, () => 'open');
    return { tenantId, holderId, purpose, asks };
  }
  const asks = request.scopes.map((ask, index) => parseSealAsk(problems, ask, index, scopes));
  problems.refuse();
  requireAllowed(service, asks, ({ owner }) => (owner === undefined ? 'seal' : 'create'));
  return { tenantId, holderId, purpose: 'seal', asks };
}

const facts: Scope = { kind: 'facts' };

function parseAskedScope(problems: Problems, ask: ScopeRequest, index: number): Scope {
  const scope = parseScope(ask.kind, ask.token);
  if (scope === undefined) {
    problems.add(`scopes[${index}]`, 'facts without a token, or a ticket or person with 16 bytes');
  }
  return scope ?? facts;
}

function parseOpenAsk(
  problems: Problems,
  ask: ScopeRequest,
  index: number,
  scopes: readonly Scope[],
): OpenAsk {
  if (ask.keyId.length !== 16) problems.add(`scopes[${index}].key_id`, '16 bytes');
  if (ask.incarnation > 0x7fff_ffff) problems.add(`scopes[${index}].incarnation`, 'below 2^31');
  return { scope: scopes[index] ?? facts, incarnation: ask.incarnation, keyId: ask.keyId };
}

function parseSealAsk(
  problems: Problems,
  ask: ScopeRequest,
  index: number,
  scopes: readonly Scope[],
): SealAsk {
  const scope = scopes[index] ?? facts;
  const at = `scopes[${index}]`;
  if (ask.aliasTokens.length > aliasesMax)
    problems.add(`${at}.alias_tokens`, `at most ${aliasesMax}`);
  if (ask.aliasTokens.length > 0 && scope.kind !== 'person') {
    problems.add(`${at}.alias_tokens`, 'persons only');
  }
  return {
    scope,
    aliases: parseTokens(problems, `${at}.alias_tokens`, ask.aliasTokens),
    owner: parseOwner(problems, ask, at, scope),
    claim: parseClaim(problems, ask, at),
  };
}

function parseOwner(problems: Problems, ask: ScopeRequest, at: string, scope: Scope) {
  if (!ask.createTicket) return undefined;
  if (scope.kind !== 'ticket') problems.add(`${at}.create_ticket`, 'tickets only');
  if (ask.ownerIncarnation < 1 || ask.ownerIncarnation > 0x7fff_ffff) {
    problems.add(`${at}.owner_incarnation`, 'from 1 to below 2^31, with create_ticket');
  }
  if (ask.ownerToken.length === 16) {
    return { token: tokenFromBytes(ask.ownerToken), incarnation: ask.ownerIncarnation };
  }
  problems.add(`${at}.owner_token`, '16 bytes, with create_ticket');
  return undefined;
}

function parseClaim(problems: Problems, ask: ScopeRequest, at: string): Claim {
  const kib = (ask.claimBytes + 1023n) / 1024n;
  if (ask.claimMessages > messagesPerKeyMax) {
    problems.add(`${at}.claim_messages`, `at most ${messagesPerKeyMax}`);
  }
  if (kib > BigInt(kibPerKeyMax)) problems.add(`${at}.claim_bytes`, `at most ${kibPerKeyMax} KiB`);
  return { messages: ask.claimMessages, kib: Number(kib) };
}

function requireAllowed<Ask extends { readonly scope: Scope }>(
  service: ServiceName,
  asks: readonly Ask[],
  useOf: (ask: Ask) => LeaseUse,
): void {
  for (const ask of asks) {
    if (mayLease(service, ask.scope.kind, useOf(ask))) continue;
    throw new ServiceError(
      'SCOPE_NOT_ALLOWED',
      `The service ${service} may not ${useOf(ask)} ${ask.scope.kind} keys.`,
    );
  }
}
