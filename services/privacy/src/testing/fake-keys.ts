import { createHash } from 'node:crypto';
import {
  type FenceRequest,
  type FenceResponse,
  KeyServiceService,
} from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { ScopeKind } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { ServiceRegistration } from '@lethe/platform/grpc/handler.ts';
import { registerService } from '@lethe/platform/grpc/register.ts';
import type { TenantId, Token } from '@lethe/platform/ids/ids.ts';
import { createTokenMaker } from '@lethe/platform/ids/token-maker.ts';
import type { TokenMaker } from '@lethe/platform/key-client/port.ts';
import { createSecretKey } from 'node:crypto';

/** A person as the fake knows them: every token that leads to them, and the tickets they own. */
export interface FakePerson {
  readonly token: Token;
  readonly aliases: readonly Token[];
  readonly tickets: readonly Token[];
}

/** Stands in for the service `keys`: real tokens, no keys. */
export interface FakeKeys {
  readonly registration: ServiceRegistration;
  readonly tenants: Map<string, number>;
  readonly people: FakePerson[];
  /** Every call of Fence, repeats included. */
  readonly fenceRequests: FenceRequest[];
  tokensOf(tenantId: TenantId): TokenMaker;
  /** From when on UnreadableStatus says so; undefined: leases still live. */
  unreadableAt: Date | undefined;
  /** While set, every call is refused like this. */
  refusal: ServiceError | undefined;
}

/** When the fake's fences stand. */
export const fencedAt = new Date(Date.UTC(2026, 4, 4, 0, 0, 1));

function notFaked(): never {
  throw new ServiceError('INTERNAL_DEFECT', 'the fake keys service has no such method');
}

const tokenKeyOf = (tenantId: string): Buffer =>
  createHash('sha256').update(`token key/${tenantId}`).digest();

export function createFakeKeys(): FakeKeys {
  const answers = new Map<string, FenceResponse>();
  const scopesOf = (request: Pick<FenceRequest, 'personTokens'>, cutOff: Date | undefined) => {
    const persons = request.personTokens.map((token) => ({
      kind: ScopeKind.SCOPE_KIND_PERSON,
      token,
      incarnation: 1,
      cutOff,
    }));
    const names = new Set(request.personTokens.map((token) => token.toString('hex')));
    const tickets = fake.people
      .filter(({ token }) => names.has(token))
      .flatMap((person) => person.tickets)
      .map((token) => ({
        kind: ScopeKind.SCOPE_KIND_TICKET,
        token: Buffer.from(token, 'hex'),
        incarnation: 1,
        cutOff,
      }));
    return [...persons, ...tickets];
  };
  const unlessRefused = <T>(answer: T): T => {
    if (fake.refusal !== undefined) throw fake.refusal;
    return answer;
  };
  const registration = registerService(KeyServiceService, {
    createTenant: async (request) => {
      unlessRefused(undefined);
      if (!fake.tenants.has(request.tenantId)) {
        fake.tenants.set(request.tenantId, request.returningPersons);
      }
      return {};
    },
    leaseTokenKey: async ({ tenantId }) =>
      unlessRefused({ tokenKey: tokenKeyOf(tenantId), ttlMs: 30_000 }),
    resolvePersons: async ({ tokens }) => {
      const persons = tokens.map((bytes) => {
        const asked = bytes.toString('hex');
        const leadsTo = ({ token, aliases }: FakePerson): boolean =>
          token === asked || aliases.some((alias) => alias === asked);
        const found = fake.people.filter(leadsTo);
        return { personTokens: found.map(({ token }) => Buffer.from(token, 'hex')) };
      });
      return unlessRefused({ persons });
    },
    fence: async (request) => {
      unlessRefused(undefined);
      fake.fenceRequests.push(request);
      const stored = answers.get(request.erasureId);
      const scopes = scopesOf(request, request.cutOff);
      const answer = stored ?? { scopes, keysDestroyed: scopes.length + 1, fencedAt };
      answers.set(request.erasureId, answer);
      return answer;
    },
    previewFence: async (request) => {
      const scopes = scopesOf(request, undefined);
      return unlessRefused({ scopes, keysToDestroy: scopes.length + 1 });
    },
    unreadableStatus: async ({ erasureId }) => {
      unlessRefused(undefined);
      if (!answers.has(erasureId)) throw new ServiceError('ERASURE_UNKNOWN');
      return { unreadableAt: fake.unreadableAt, holdersWaiting: 0 };
    },
    lease: async () => notFaked(),
    leaseContributorKey: async () => notFaked(),
    watchRevocations: async function* () {
      yield notFaked();
    },
    acknowledgeRevocation: async () => notFaked(),
    contributors: async () => notFaked(),
  });
  const fake: FakeKeys = {
    registration,
    tenants: new Map(),
    people: [],
    fenceRequests: [],
    tokensOf: (tenantId) => createTokenMaker(createSecretKey(tokenKeyOf(tenantId))),
    unreadableAt: new Date(fencedAt.getTime() + 500),
    refusal: undefined,
  };
  return fake;
}
