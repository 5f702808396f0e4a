import assert from 'node:assert/strict';
import type { Kms } from '@lethe/keys/kms/port.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { median } from '../bench/pairs.ts';

/** Median milliseconds of a wrap and of an unwrap of `secret`; each round is compared with it. */
export async function timedRoundTrips(
  kms: Kms,
  tenantId: TenantId,
  secret: Buffer,
  rounds: number,
): Promise<{ readonly wrapMs: string; readonly unwrapMs: string }> {
  const wraps: number[] = [];
  const unwraps: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const beganMs = performance.now();
    const wrapped = await kms.wrap(tenantId, secret);
    const wrappedMs = performance.now();
    assert.deepEqual(await kms.unwrap(tenantId, wrapped), secret);
    unwraps.push(performance.now() - wrappedMs);
    wraps.push(wrappedMs - beganMs);
  }
  return { wrapMs: median(wraps).toFixed(2), unwrapMs: median(unwraps).toFixed(2) };
}
