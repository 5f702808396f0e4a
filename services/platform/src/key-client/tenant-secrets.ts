import { createSecretKey, type KeyObject } from 'node:crypto';
import { KeyServiceService } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import type { Peer } from '../grpc/handler.ts';
import { createContributorMaker, createTokenMaker } from '../ids/token-maker.ts';
import type { TenantId } from '../ids/ids.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { isOver, type Moment, momentOf } from './cached-lease.ts';
import { callKeys, keysTimeoutMs } from './keys-calls.ts';
import type { ContributorMaker, TokenMaker } from './port.ts';

export interface TenantSecrets {
  tokens(tenantId: TenantId): Promise<TokenMaker>;
  contributors(tenantId: TenantId, month: number): Promise<ContributorMaker | undefined>;
  /** Drops what is past its term, whether or not anybody will ask for it again; answers how many are left. */
  sweep(): number;
  forgetAll(): void;
}

interface Held<Maker> {
  readonly askedAt: Moment;
  /** Undefined while the answer is under way. */
  ttlMs: number | undefined;
  readonly answer: Promise<{ readonly maker: Maker; readonly ttlMs: number }>;
}

/** The tenant's token key and contributor keys, each asked for once per TTL however many wait for it. */
export function createTenantSecrets(peer: Peer, holderId: string, clock: Clock): TenantSecrets {
  const tokenMakers = new Map<string, Held<TokenMaker>>();
  const contributorMakers = new Map<string, Held<ContributorMaker | undefined>>();
  const options = { timeoutMs: keysTimeoutMs };
  return {
    tokens: async (tenantId) =>
      await once(tokenMakers, tenantId, clock, async () => {
        const { leaseTokenKey } = KeyServiceService;
        const answer = await peer.unary(leaseTokenKey, { tenantId, holderId }, options);
        return { maker: createTokenMaker(secretOf(answer.tokenKey)), ttlMs: answer.ttlMs };
      }),
    contributors: async (tenantId, month) =>
      await once(contributorMakers, `${tenantId} ${month}`, clock, async () => {
        const { leaseContributorKey } = KeyServiceService;
        const request = { tenantId, month, holderId };
        const answer = await peer.unary(leaseContributorKey, request, options);
        const closed = answer.contributorKey.length === 0;
        const maker = closed ? undefined : createContributorMaker(secretOf(answer.contributorKey));
        return { maker, ttlMs: answer.ttlMs };
      }),
    sweep: () => dropOver(tokenMakers, clock) + dropOver(contributorMakers, clock),
    forgetAll: () => {
      tokenMakers.clear();
      contributorMakers.clear();
    },
  };
}

function dropOver<Maker>(held: Map<string, Held<Maker>>, clock: Clock): number {
  for (const [name, { askedAt, ttlMs }] of held) {
    if (ttlMs !== undefined && isOver(askedAt, ttlMs, clock)) held.delete(name);
  }
  return held.size;
}

async function once<Maker>(
  held: Map<string, Held<Maker>>,
  name: string,
  clock: Clock,
  ask: () => Promise<{ maker: Maker; ttlMs: number }>,
): Promise<Maker> {
  const known = held.get(name);
  if (known !== undefined) {
    const { maker, ttlMs } = await known.answer;
    if (!isOver(known.askedAt, ttlMs, clock)) return maker;
    if (held.get(name) === known) held.delete(name);
    return await once(held, name, clock, ask);
  }
  const asked: Held<Maker> = {
    askedAt: momentOf(clock),
    ttlMs: undefined,
    answer: callKeys(ask),
  };
  held.set(name, asked);
  try {
    const { maker, ttlMs } = await asked.answer;
    asked.ttlMs = ttlMs;
    return maker;
  } catch (error) {
    // Whoever waited gets the error; the next caller asks again.
    if (held.get(name) === asked) held.delete(name);
    throw error;
  }
}

function secretOf(bytes: Buffer): KeyObject {
  return createSecretKey(bytes);
}
