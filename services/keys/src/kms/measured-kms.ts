import { reasonOf } from '@lethe/platform/errors/failure.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import type { Attributes } from '@lethe/platform/telemetry/attributes.ts';
import type { Telemetry } from '@lethe/platform/telemetry/port.ts';
import type { Reason } from '@lethe/proto/reasons.ts';
import { keysMetrics } from '../metrics.ts';
import type { Kms } from './port.ts';

type Operation = NonNullable<Attributes['lethe.kms.operation']>;

/** What may pass by itself: the KMS is there, or will be, and does not serve us. */
const awayReasons: ReadonlySet<Reason> = new Set([
  'KMS_UNAVAILABLE',
  'KMS_SEALED',
  'KMS_ACCESS_DENIED',
]);

/** The KMS with its calls measured, each in a span. */
export function measuredKms(kms: Kms, telemetry: Telemetry, clock: Clock): Kms {
  if (!telemetry.isOn) return kms;
  const meter = telemetry.meter(keysMetrics);
  let awaySinceMs: number | undefined;
  meter.observe('lethe.kms.away', () => {
    const awayMs = awaySinceMs === undefined ? 0 : clock.monotonicMs() - awaySinceMs;
    return [{ value: awayMs / 1_000, attributes: {} }];
  });
  const measure = async <Result>(operation: Operation, work: () => Promise<Result>) => {
    const attributes = { 'lethe.kms.operation': operation };
    const beganMs = clock.monotonicMs();
    const seconds = () => (clock.monotonicMs() - beganMs) / 1_000;
    return await telemetry.inSpan({ name: 'kms call', kind: 'client', attributes }, async () => {
      try {
        const result = await work();
        awaySinceMs = undefined;
        meter.record('lethe.kms.call.duration', seconds(), attributes);
        return result;
      } catch (error) {
        const reason = reasonOf(error);
        if (awayReasons.has(reason)) awaySinceMs ??= clock.monotonicMs();
        else awaySinceMs = undefined;
        const failed = { ...attributes, 'error.type': reason };
        meter.record('lethe.kms.call.duration', seconds(), failed);
        throw error;
      }
    });
  };
  return {
    wrap: async (tenantId, plaintext) =>
      await measure('wrap', async () => await kms.wrap(tenantId, plaintext)),
    unwrap: async (tenantId, wrapped) =>
      await measure('unwrap', async () => await kms.unwrap(tenantId, wrapped)),
    rotate: async (tenantId) => await measure('rotate', async () => await kms.rotate(tenantId)),
    destroyVersionsBefore: async (tenantId, version) =>
      await measure('destroy_versions', async () => kms.destroyVersionsBefore(tenantId, version)),
    destroyTenant: async (tenantId) =>
      await measure('destroy_tenant', async () => await kms.destroyTenant(tenantId)),
  };
}
