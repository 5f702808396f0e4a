import { KeyServiceService, LeasePurpose } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import type { Peer } from '../grpc/handler.ts';
import {
  type Scope,
  scopeText,
  type TenantId,
  type Token,
  tokenBytes,
  tokenFromBytes,
} from '../ids/ids.ts';
import type { Clock } from '../lifecycle/clock.ts';
import type { Logger } from '../log/logger.ts';
import { noTelemetry, type Telemetry } from '../telemetry/port.ts';
import type { CachedLease } from './cached-lease.ts';
import { createAsk, type Looks, type Wanted } from './ask.ts';
import { callKeys, keysTimeoutMs } from './keys-calls.ts';
import { LeaseCache, scopeNameOf } from './lease-cache.ts';
import { encodeOpenRequest, encodeSealRequest } from './lease-messages.ts';
import { createLeaseCalls, type LeaseCalls } from './leasing.ts';
import { leaseMetrics } from './metrics.ts';
import type { KeyClient, OpenRequest, SealRequest } from './port.ts';
import { createRevocationWatch, type RevocationListener } from './revocations.ts';
import { createTenantSecrets } from './tenant-secrets.ts';

export interface KeyClientOptions {
  readonly peer: Peer;
  /** Names this process to keys; unique among the holders that live at the same time. */
  readonly holderId: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Leases kept; the least recently used goes first. */
  readonly leasesMax?: number;
  /** What is claimed of a data key at a time; `keys` lets one seal 2^20 messages and 2^36 bytes in all. */
  readonly claimMessages?: number;
  readonly claimBytes?: number;
  /** How often keys whose lease is over are dropped from memory, milliseconds. Default 5,000. */
  readonly sweepEveryMs?: number;
  /** Default: none. */
  readonly telemetry?: Telemetry;
}

/** The lease cache over the keys service; see KeyClient. */
export function createKeyClient(options: KeyClientOptions): KeyClient {
  const { peer, holderId, clock, logger } = options;
  const cache = new LeaseCache(options.leasesMax ?? 50_000);
  const calls = createLeaseCalls(peer, holderId, clock);
  const secrets = createTenantSecrets(peer, holderId, clock);
  const claim = {
    messages: options.claimMessages ?? 4_096,
    bytes: options.claimBytes ?? 2 ** 26,
  };
  const registration = createRegistration(cache, calls);
  const sweeping = createSweeping(options.sweepEveryMs ?? 5_000, () => {
    cache.sweep();
    secrets.sweep();
  });
  const watch = createRevocationWatch({ peer, holderId, clock, logger, listener: registration });
  const { isRegistered } = registration;
  const looked = countingLooks(options.telemetry ?? noTelemetry);
  const ask = createAsk({ cache, calls, clock, isRegistered, looked });
  return {
    leaseForSeal: async (tenantId, requests) =>
      await ask(
        tenantId,
        LeasePurpose.LEASE_PURPOSE_SEAL,
        requests.map((request) => wantedForSeal(tenantId, request, claim)),
      ),
    leaseForOpen: async (tenantId, requests) =>
      await ask(
        tenantId,
        LeasePurpose.LEASE_PURPOSE_OPEN,
        requests.map((request) => wantedForOpen(tenantId, request)),
      ),
    tokens: async (tenantId) => {
      // Also of a client that was never started: it leases no data keys.
      sweeping.begin();
      return await secrets.tokens(tenantId);
    },
    contributors: async (tenantId, month) => {
      sweeping.begin();
      return await secrets.contributors(tenantId, month);
    },
    resolvePersons: async (tenantId, tokens) => await resolvePersons(peer, tenantId, tokens),
    evict: (tenantId, scope) => {
      const lease = cache.get(sealName(tenantId, scope));
      if (lease !== undefined) cache.endScope(tenantId, lease.scope);
      cache.endScope(tenantId, scope);
    },
    start: async () => {
      sweeping.begin();
      await watch.start();
    },
    stop: async () => {
      sweeping.end();
      await watch.stop();
      cache.endAll();
      secrets.forgetAll();
    },
  };
}

function countingLooks(telemetry: Telemetry) {
  if (!telemetry.isOn) return undefined;
  const meter = telemetry.meter(leaseMetrics);
  return (asked: LeasePurpose, looks: Looks) => {
    const purpose = asked === LeasePurpose.LEASE_PURPOSE_SEAL ? 'seal' : 'open';
    // Also of none: a series that begins with its first failure does not rise by it.
    for (const result of ['hit', 'miss', 'failed'] as const) {
      const attributes = { 'lethe.lease.purpose': purpose, 'lethe.lease.result': result } as const;
      meter.add('lethe.lease.lookups', looks[result], attributes);
    }
  };
}

async function resolvePersons(
  peer: Peer,
  tenantId: TenantId,
  tokens: readonly Token[],
): Promise<Token[][]> {
  const request = { tenantId, tokens: tokens.map(tokenBytes) };
  const options = { timeoutMs: keysTimeoutMs };
  const { persons } = await callKeys(
    async () => await peer.unary(KeyServiceService.resolvePersons, request, options),
  );
  return persons.map((person) => person.personTokens.map(tokenFromBytes));
}

// A plain timer: it decides nothing, leases and secrets look at their clock themselves.
function createSweeping(everyMs: number, sweep: () => void) {
  let timer: NodeJS.Timeout | undefined;
  return {
    begin: () => {
      timer ??= setInterval(sweep, everyMs).unref();
    },
    end: () => clearInterval(timer),
  };
}

/** What the watch for revocations does to the cache. */
function createRegistration(
  cache: LeaseCache,
  calls: LeaseCalls,
): RevocationListener & { readonly isRegistered: () => boolean } {
  let standing = false;
  return {
    isRegistered: () => standing,
    registered: () => {
      standing = true;
      cache.endAll();
    },
    lost: () => {
      // Leases live on to their TTL, on which keys counts for a holder that it cannot reach.
      standing = false;
    },
    revoked: (tenantId, scopes) => {
      for (const { scope, upToIncarnation } of scopes) {
        calls.revoked(tenantId, scope, upToIncarnation);
        cache.endScope(tenantId, scope, upToIncarnation);
      }
    },
  };
}

const sealName = (tenantId: TenantId, scope: Scope) => `seal ${scopeNameOf(tenantId, scope)}`;

function wantedForSeal(
  tenantId: TenantId,
  request: SealRequest,
  claim: { messages: number; bytes: number },
): Wanted {
  const messages = request.messages ?? 1;
  const plaintextBytes = request.plaintextBytes ?? 2 ** 20;
  const aliases = request.aliases ?? [];
  const owner = request.createFor;
  const name = sealName(tenantId, request.scope);
  const asked = [...aliases].toSorted().join();
  const ownerText = owner === undefined ? '' : `${owner.token}:${owner.incarnation}`;
  const covers = (lease: CachedLease) => lease.covers(messages, plaintextBytes);
  return {
    name,
    question: `${name} ${asked} ${ownerText}`,
    suffices: (lease) => covers(lease) && aliases.every((alias) => lease.knownAliases.has(alias)),
    encode: (held) => {
      const enough = held !== undefined && covers(held);
      return encodeSealRequest(request, {
        messages: enough ? 0 : Math.max(claim.messages, messages),
        bytes: enough ? 0n : BigInt(Math.max(claim.bytes, plaintextBytes)),
        heldKeyId: held?.keyId,
      });
    },
    granted: (lease) => {
      for (const alias of aliases) lease.knownAliases.add(alias);
    },
  };
}

function wantedForOpen(tenantId: TenantId, request: OpenRequest): Wanted {
  const keyId = Buffer.from(request.keyId).toString('hex');
  const name = `open ${tenantId} ${scopeText(request.scope)} ${request.incarnation} ${keyId}`;
  return {
    name,
    question: name,
    suffices: () => true,
    encode: () => encodeOpenRequest(request),
  };
}
