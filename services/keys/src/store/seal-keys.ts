import type { Kysely } from 'kysely';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { type Scope, scopeText, type Token } from '@lethe/platform/ids/ids.ts';
import type { RandomBytes } from '@lethe/platform/lifecycle/clock.ts';
import { type Claim, decideSeal, type Fence, type SealDecision } from '../domain/generations.ts';
import { canonicalPerson } from '../domain/persons.ts';
import { makeDataKey } from '../hierarchy/data-keys.ts';
import type { TenantKeyring } from '../hierarchy/tenant-keyring.ts';
import { readKnownTokens, registerAliases } from './aliases.ts';
import { keyIdStart, type Owner, scopeBytes } from './columns.ts';
import { addClaims, insertDataKeys, type NewestRow, type NewRow, readNewest } from './data-keys.ts';
import { type FencesByScope, readFences } from './fences.ts';
import type { KeysSchema } from './schema.ts';
import { type LockedTenant, lockTenantShared } from './tenants.ts';

export interface SealAsk {
  readonly scope: Scope;
  /** Of a person: tokens of further ids. */
  readonly aliases: readonly Token[];
  /** Of a ticket that may be created. */
  readonly owner: Owner | undefined;
  readonly claim: Claim;
}

/** A stored data key, still wrapped. */
export interface StoredKey {
  readonly incarnation: number;
  readonly generation: number;
  readonly wrapped: Buffer;
  readonly owner: Owner | undefined;
  readonly first: { readonly generation: number; readonly wrapped: Buffer };
}

type Refusal = Extract<SealDecision, { kind: 'refuse' }>;

export interface SealAnswer {
  /** With the canonical token. */
  readonly scope: Scope;
  readonly fence: Fence | undefined;
  readonly outcome: { readonly kind: 'granted'; readonly key: StoredKey } | Refusal;
}

export interface SealLeaseInput {
  readonly keyring: TenantKeyring;
  readonly asks: readonly SealAsk[];
  readonly nowMs: number;
  readonly randomBytes: RandomBytes;
}

/** Everything that asks of one batch want of one scope. */
interface Group {
  readonly scope: Scope;
  readonly bytes: Buffer;
  readonly claim: Claim;
  readonly owner: Owner | undefined;
}

type Tx = Kysely<KeysSchema>;

/**
 * The data keys to seal with, in one transaction under the shared fence lock: an answer per ask, in order. Keys that do
 * not exist are made where their kind allows it; claims are added. If the process dies after the commit, the claims are
 * lost, which costs room under the caps and nothing else. Throws StaleKeyring.
 */
export async function leaseSealKeys(
  db: Kysely<KeysSchema>,
  input: SealLeaseInput,
): Promise<readonly SealAnswer[]> {
  return db.transaction().execute(async (tx) => {
    const { keyring, asks } = input;
    const tenant = await lockTenantShared(tx, keyring);
    const scopes = await canonicalScopes(tx, keyring.tenantNumber, asks);
    const groups = groupByScope(asks, scopes);
    const fences = await readFences(tx, keyring.tenantNumber, scopesToCheck(groups));
    const outcomes = await settle(tx, input, tenant, groups, fences);
    const answers = scopes.map((scope) => {
      const outcome = outcomes.get(scopeText(scope));
      if (outcome === undefined) throw new RangeError('a scope was left without an outcome');
      return { scope, fence: fences.get(scopeBytes(scope).toString('hex')), outcome };
    });
    await registerAliases(tx, keyring.tenantNumber, aliasesToRegister(asks, answers));
    return answers;
  });
}

async function canonicalScopes(
  tx: Tx,
  tenantNumber: number,
  asks: readonly SealAsk[],
): Promise<readonly Scope[]> {
  const tokens = asks.flatMap(({ scope }) => (scope.kind === 'person' ? [scope.token] : []));
  const known = await readKnownTokens(tx, tenantNumber, [...new Set(tokens)]);
  const canonical = new Map(known.map((token) => [token.token, canonicalPerson(token)]));
  return asks.map(({ scope }) =>
    scope.kind === 'person'
      ? { kind: 'person', token: canonical.get(scope.token) ?? scope.token }
      : scope,
  );
}

function groupByScope(asks: readonly SealAsk[], scopes: readonly Scope[]): readonly Group[] {
  const groups = new Map<string, Group>();
  for (const [index, ask] of asks.entries()) {
    const scope = scopes[index] ?? ask.scope;
    const before = groups.get(scopeText(scope));
    groups.set(scopeText(scope), {
      scope,
      bytes: before?.bytes ?? scopeBytes(scope),
      owner: before?.owner ?? ask.owner,
      claim: {
        messages: (before?.claim.messages ?? 0) + ask.claim.messages,
        kib: (before?.claim.kib ?? 0) + ask.claim.kib,
      },
    });
  }
  return [...groups.values()];
}

function personScope(token: Token): Buffer {
  return scopeBytes({ kind: 'person', token });
}

function scopesToCheck(groups: readonly Group[]): readonly Buffer[] {
  const owners = groups.flatMap(({ owner }) =>
    owner === undefined ? [] : [personScope(owner.token)],
  );
  return [...groups.map(({ bytes }) => bytes), ...owners];
}

const roundsMax = 8;

/** Each round settles what no other transaction has changed meanwhile; under the shared lock only claims and keys do. */
async function settle(
  tx: Tx,
  input: SealLeaseInput,
  tenant: LockedTenant,
  groups: readonly Group[],
  fences: FencesByScope,
): Promise<ReadonlyMap<string, SealAnswer['outcome']>> {
  const outcomes = new Map<string, SealAnswer['outcome']>();
  let pending = groups;
  for (let round = 0; pending.length > 0; round += 1) {
    if (round === roundsMax) {
      throw new ServiceError(
        'STORE_UNAVAILABLE',
        'data keys are claimed faster than they are made',
      );
    }
    const bytes = pending.map((group) => group.bytes);
    const newest = await readNewest(tx, input.keyring.tenantNumber, bytes);
    const decided = pending.map((group) =>
      decideGroup(input, tenant, group, newest.get(group.bytes.toString('hex')), fences),
    );
    const made = await insertDataKeys(
      tx,
      input.keyring.tenantNumber,
      decided.flatMap(({ row }) => (row === undefined ? [] : [row])),
    );
    const claimed = await addClaims(
      tx,
      input.keyring.tenantNumber,
      decided.flatMap(({ claim }) => (claim === undefined ? [] : [claim])),
    );
    for (const { group, outcome, row, claim } of decided) {
      const hex = group.bytes.toString('hex');
      const isLost =
        (row !== undefined && !made.has(hex)) || (claim !== undefined && !claimed.has(hex));
      if (!isLost) outcomes.set(scopeText(group.scope), outcome);
    }
    pending = pending.filter(({ scope }) => !outcomes.has(scopeText(scope)));
  }
  return outcomes;
}

interface DecidedGroup {
  readonly group: Group;
  readonly outcome: SealAnswer['outcome'];
  /** To insert; if that fails, another transaction was first and the outcome does not hold. */
  readonly row?: NewRow;
  /** To add; likewise. */
  readonly claim?: {
    readonly scope: Buffer;
    readonly incarnation: number;
    readonly generation: number;
  } & Claim;
}

function decideGroup(
  input: SealLeaseInput,
  tenant: LockedTenant,
  group: Group,
  newest: NewestRow | undefined,
  fences: FencesByScope,
): DecidedGroup {
  const { owner, claim, bytes } = group;
  const fencedOwner =
    owner === undefined ? undefined : fences.get(personScope(owner.token).toString('hex'));
  const decision = decideSeal({
    kind: group.scope.kind,
    claim,
    newest,
    fence: fences.get(bytes.toString('hex')),
    mayReturn: tenant.mayReturn,
    owner:
      owner === undefined
        ? undefined
        : { incarnation: owner.incarnation, fencedIncarnation: fencedOwner?.incarnation ?? 0 },
    nowMs: input.nowMs,
  });
  if (decision.kind === 'refuse') return { group, outcome: decision };
  if (decision.kind === 'make') return makeKey(input, group, decision, newest);
  if (newest === undefined) throw new RangeError('there is no key to use');
  const outcome = { kind: 'granted', key: newest } as const;
  if (claim.messages === 0 && claim.kib === 0) return { group, outcome };
  const { incarnation, generation } = newest;
  return { group, outcome, claim: { scope: bytes, incarnation, generation, ...claim } };
}

function makeKey(
  { keyring, nowMs, randomBytes }: SealLeaseInput,
  { scope, bytes, claim, owner: namedOwner }: Group,
  { incarnation, generation }: Extract<SealDecision, { kind: 'make' }>,
  newest: NewestRow | undefined,
): DecidedGroup {
  const { keyId, wrapped } = makeDataKey(keyring, { scope, incarnation, generation }, randomBytes);
  const owner = newest === undefined ? namedOwner : newest.owner;
  const first = newest?.first ?? { generation, wrapped };
  return {
    group: { scope, bytes, claim, owner: namedOwner },
    outcome: { kind: 'granted', key: { incarnation, generation, wrapped, owner, first } },
    row: {
      scope: bytes,
      incarnation,
      generation,
      ...claim,
      createdAtMs: nowMs,
      keyIdStart: keyIdStart(keyId),
      wrapped,
      owner,
    },
  };
}

function aliasesToRegister(asks: readonly SealAsk[], answers: readonly SealAnswer[]) {
  return asks.flatMap(({ aliases }, index) => {
    const answer = answers[index];
    if (answer?.outcome.kind !== 'granted' || answer.scope.kind !== 'person') return [];
    const person = answer.scope.token;
    return aliases.map((alias) => ({ alias, person }));
  });
}
