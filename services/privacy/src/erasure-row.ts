import type { ServiceName } from '@lethe/proto/access.ts';
import type { ErasureGround } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import { ScopesErased } from '@lethe/proto/gen/lethe/privacy/v1/events.ts';
import { ErasureReceipt } from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import {
  type ErasureId,
  type TenantId,
  type Token,
  tokenBytes,
  tokenFromBytes,
} from '@lethe/platform/ids/ids.ts';
import { parseScope } from '@lethe/platform/sealing/scope-wire.ts';
import type { Completion, Erasure, Fence, FencedScope, Receipt } from './domain/erasure.ts';
import { scopesErasedOf } from './privacy-events.ts';
import { receiptMessageOf, receiptOfMessage } from './receipt-message.ts';
import type { PrivacySchema } from './schema.ts';

/** An erasure as its row has it, without its receipts, which have rows of their own. */
export type ErasureRow = PrivacySchema['erasures'];

const tokenSizeBytes = 16;

const numberOf = (value: bigint | null): number | undefined =>
  value === null ? undefined : Number(value);
const bigintOf = (value: number | undefined): bigint | null =>
  value === undefined ? null : BigInt(value);

export function encodeErasure(erasure: Erasure, events: number): ErasureRow {
  const { fence, completion } = erasure;
  const scopesErased =
    fence === undefined
      ? null
      : Buffer.from(ScopesErased.encode(scopesErasedOf(erasure.erasureId, fence)).finish());
  return {
    erasure_id: erasure.erasureId,
    tenant_id: erasure.tenantId,
    ground: erasure.ground,
    person_tokens: Buffer.concat(erasure.personTokens.map(tokenBytes)),
    requested_at_ms: BigInt(erasure.requestedAtMs),
    events,
    is_open: completion === undefined,
    scopes_erased: scopesErased,
    keys_destroyed: fence?.keysDestroyed ?? null,
    fenced_at_ms: bigintOf(fence?.fencedAtMs),
    unreadable_at_ms: bigintOf(erasure.unreadableAtMs),
    purged_at_ms: bigintOf(completion?.purgedAtMs),
    physically_gone_by_ms: bigintOf(completion?.physicallyGoneByMs),
    certificate_jws: completion?.certificateJws ?? null,
  };
}

function decodeTokens(bytes: Buffer): Token[] {
  const count = bytes.length / tokenSizeBytes;
  return Array.from({ length: count }, (_, index) =>
    tokenFromBytes(bytes.subarray(index * tokenSizeBytes, (index + 1) * tokenSizeBytes)),
  );
}

function decodeScope({
  kind,
  token,
  incarnation,
  cutOff,
}: ScopesErased['scopes'][number]): FencedScope {
  const scope = parseScope(kind, token);
  if (scope === undefined || scope.kind === 'facts') {
    throw new RangeError('a stored erasure names a scope that cannot be fenced');
  }
  return { ...scope, incarnation, cutOffMs: cutOff?.getTime() ?? 0 };
}

function decodeFence(row: ErasureRow): Fence | undefined {
  const { scopes_erased: encoded, fenced_at_ms: fencedAtMs } = row;
  if (encoded === null || fencedAtMs === null) return undefined;
  const { scopes, obligedServices } = ScopesErased.decode(encoded);
  return {
    scopes: scopes.map(decodeScope),
    keysDestroyed: row.keys_destroyed ?? 0,
    fencedAtMs: Number(fencedAtMs),
    // Written by this service from proto/topics.ts.
    obliged: obligedServices as ServiceName[],
  };
}

function decodeCompletion(row: ErasureRow): Completion | undefined {
  const { purged_at_ms: purged, physically_gone_by_ms: gone, certificate_jws: jws } = row;
  if (purged === null || gone === null || jws === null) return undefined;
  return { purgedAtMs: Number(purged), physicallyGoneByMs: Number(gone), certificateJws: jws };
}

export function encodeReceipt(receipt: Receipt): Buffer {
  return Buffer.from(ErasureReceipt.encode(receiptMessageOf(receipt)).finish());
}

export function decodeErasure(row: ErasureRow, receipts: readonly Buffer[]): Erasure {
  return {
    tenantId: row.tenant_id as TenantId,
    erasureId: row.erasure_id as ErasureId,
    ground: row.ground as ErasureGround,
    personTokens: decodeTokens(row.person_tokens),
    requestedAtMs: Number(row.requested_at_ms),
    fence: decodeFence(row),
    unreadableAtMs: numberOf(row.unreadable_at_ms),
    receipts: receipts.map((bytes) => {
      const message = ErasureReceipt.decode(bytes);
      return receiptOfMessage(message.service as ServiceName, message);
    }),
    completion: decodeCompletion(row),
  };
}
