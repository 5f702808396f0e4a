import { createHash, createSecretKey } from 'node:crypto';
import {
  type FenceRequest,
  type FenceResponse,
  KeyServiceService,
} from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { ScopeKind } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { ServiceRegistration } from '@lethe/platform/grpc/handler.ts';
import { type Handlers, registerService } from '@lethe/platform/grpc/register.ts';
import { type TenantId, type Token, tokenBytes } from '@lethe/platform/ids/ids.ts';
import { createTokenMaker } from '@lethe/platform/ids/token-maker.ts';
import type { TokenMaker } from '@lethe/platform/key-client/port.ts';

/** A person as the fake knows them: every token that leads to them, and the tickets they own. */
export interface FakePerson {
  readonly token: Token;
  readonly aliases: readonly Token[];
  readonly tickets: readonly Token[];
}

/** Stands in for the service `keys`: real tokens, no keys. */
export interface FakeKeys {
  readonly registration: ServiceRegistration;
  /** By tenant id, the policy for returning persons it was created with. */
  readonly tenants: Map<string, number>;
  readonly people: FakePerson[];
  /** Every call of Fence, repeats included. */
  readonly fenceRequests: FenceRequest[];
  /** False: leases still live. */
  isUnreadable: boolean;
  /** While set, every call is refused like this. */
  refusal: ServiceError | undefined;
  /** While set, Fence alone is. */
  fenceRefusal: ServiceError | undefined;
}

/** How long after the cut-off the fake's fences stand. */
export const fencingMs = 100;
/** How long after the fence nobody has a key any more, once `isUnreadable`. */
export const revokingMs = 500;

const tokenKeyOf = (tenantId: string): Buffer =>
  createHash('sha256').update(`token key/${tenantId}`).digest();

/** The maker whose tokens the fake resolves. */
export function tokensOf(tenantId: TenantId): TokenMaker {
  return createTokenMaker(createSecretKey(tokenKeyOf(tenantId)));
}

type State = Omit<FakeKeys, 'registration'>;
type KeyHandlers = Handlers<typeof KeyServiceService>;

/** The persons, then every ticket they own. */
function scopesOf(state: State, personTokens: readonly Buffer[], cutOff: Date | undefined) {
  const names = personTokens.map((token) => token.toString('hex'));
  const owned = state.people.filter(({ token }) => names.includes(token));
  const scope = (kind: ScopeKind, token: Buffer) => ({ kind, token, incarnation: 1, cutOff });
  return [
    ...personTokens.map((token) => scope(ScopeKind.SCOPE_KIND_PERSON, token)),
    ...owned
      .flatMap(({ tickets }) => tickets)
      .map((token) => scope(ScopeKind.SCOPE_KIND_TICKET, tokenBytes(token))),
  ];
}

function fencingHandlers(
  state: State,
): Pick<KeyHandlers, 'fence' | 'previewFence' | 'unreadableStatus'> {
  const answers = new Map<string, FenceResponse>();
  return {
    fence: async (request) => {
      const refusal = state.refusal ?? state.fenceRefusal;
      if (refusal !== undefined) throw refusal;
      state.fenceRequests.push(request);
      const scopes = scopesOf(state, request.personTokens, request.cutOff);
      const first = answers.get(request.erasureId);
      const fencedAt = new Date((request.cutOff?.getTime() ?? 0) + fencingMs);
      const answer = first ?? { scopes, keysDestroyed: scopes.length + 1, fencedAt };
      answers.set(request.erasureId, answer);
      return answer;
    },
    previewFence: async (request) => {
      if (state.refusal !== undefined) throw state.refusal;
      const scopes = scopesOf(state, request.personTokens, undefined);
      return { scopes, keysToDestroy: scopes.length + 1 };
    },
    unreadableStatus: async ({ erasureId }) => {
      if (state.refusal !== undefined) throw state.refusal;
      const fencedAt = answers.get(erasureId)?.fencedAt;
      if (fencedAt === undefined) throw new ServiceError('ERASURE_UNKNOWN');
      if (!state.isUnreadable) return { unreadableAt: undefined, holdersWaiting: 1 };
      return { unreadableAt: new Date(fencedAt.getTime() + revokingMs), holdersWaiting: 0 };
    },
  };
}

function tenantHandlers(
  state: State,
): Pick<KeyHandlers, 'createTenant' | 'leaseTokenKey' | 'resolvePersons'> {
  return {
    createTenant: async ({ tenantId, returningPersons }) => {
      if (state.refusal !== undefined) throw state.refusal;
      if (!state.tenants.has(tenantId)) state.tenants.set(tenantId, returningPersons);
      return {};
    },
    leaseTokenKey: async ({ tenantId }) => {
      if (state.refusal !== undefined) throw state.refusal;
      return { tokenKey: tokenKeyOf(tenantId), ttlMs: 30_000 };
    },
    resolvePersons: async ({ tokens }) => {
      if (state.refusal !== undefined) throw state.refusal;
      const persons = tokens.map((bytes) => {
        const asked = bytes.toString('hex');
        const found = state.people.filter(
          ({ token, aliases }) => token === asked || aliases.some((alias) => alias === asked),
        );
        return { personTokens: found.map(({ token }) => tokenBytes(token)) };
      });
      return { persons };
    },
  };
}

const notFaked = async (): Promise<never> => {
  throw new ServiceError('INTERNAL_DEFECT', 'the fake keys service has no such method');
};

export function createFakeKeys(): FakeKeys {
  const state: State = {
    tenants: new Map(),
    people: [],
    fenceRequests: [],
    isUnreadable: true,
    refusal: undefined,
    fenceRefusal: undefined,
  };
  const registration = registerService(KeyServiceService, {
    ...tenantHandlers(state),
    ...fencingHandlers(state),
    lease: notFaked,
    leaseContributorKey: notFaked,
    watchRevocations: async function* () {
      yield await notFaked();
    },
    acknowledgeRevocation: notFaked,
    contributors: notFaked,
  });
  return Object.assign(state, { registration });
}
