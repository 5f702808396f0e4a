import { reasonOf } from '@lethe/platform/errors/failure.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import { sleepQuietly } from '@lethe/platform/lifecycle/wakeable.ts';
import type { Attributes } from '@lethe/platform/telemetry/attributes.ts';
import type { Telemetry } from '@lethe/platform/telemetry/port.ts';
import type { Reason } from '@lethe/proto/reasons.ts';
import { keysMetrics } from '../metrics.ts';
import type { Kms } from './port.ts';

export interface MeasuringPorts {
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  /** After it a KMS that is away is not asked again; a call under way is not waited for. */
  readonly stopping: AbortSignal;
}

type Operation = NonNullable<Attributes['lethe.kms.operation']>;

/** The KMS does not serve us; every other failure is its answer about one tenant. */
const awayReasons: ReadonlySet<Reason> = new Set([
  'KMS_UNAVAILABLE',
  'KMS_SEALED',
  'KMS_ACCESS_DENIED',
  'KMS_MISCONFIGURED',
]);

/** How long a KMS that is away is left alone before it is asked again, milliseconds. */
const againMs = 5_000;

interface Call<Result> {
  readonly operation: Operation;
  readonly work: () => Promise<Result>;
  /** What asks, should it fail, whether the KMS is back; default: the same call. */
  readonly again?: Call<unknown>;
}

/** The KMS with its calls measured, each in a span; one that is away is asked until it answers. */
export function measuredKms(kms: Kms, ports: MeasuringPorts): Kms {
  const { telemetry } = ports;
  if (!telemetry.isOn) return kms;
  const timed = createTimed(ports);
  const measure = async <Result>(call: Call<Result>): Promise<Result> => {
    const attributes = { 'lethe.kms.operation': call.operation };
    const span = { name: 'kms call', kind: 'client', attributes } as const;
    return await telemetry.inSpan(span, async () => await timed(call));
  };
  // In place of what changes something or holds a secret.
  const wrapZeros = (tenantId: TenantId): Call<unknown> => ({
    operation: 'wrap',
    work: () => kms.wrap(tenantId, Buffer.alloc(32)),
  });
  return {
    wrap: (tenantId, plaintext) => {
      const work = () => kms.wrap(tenantId, plaintext);
      return measure({ operation: 'wrap', work, again: wrapZeros(tenantId) });
    },
    unwrap: (tenantId, wrapped) => {
      const work = () => kms.unwrap(tenantId, wrapped);
      const unwrapInVain = async () => void (await work()).fill(0);
      return measure({
        operation: 'unwrap',
        work,
        again: { operation: 'unwrap', work: unwrapInVain },
      });
    },
    rotate: (tenantId) => {
      const work = () => kms.rotate(tenantId);
      return measure({ operation: 'rotate', work, again: wrapZeros(tenantId) });
    },
    destroyVersionsBefore: (tenantId, version) => {
      const work = () => kms.destroyVersionsBefore(tenantId, version);
      return measure({ operation: 'destroy_versions', work, again: wrapZeros(tenantId) });
    },
    destroyTenant: (tenantId) => {
      const work = () => kms.destroyTenant(tenantId);
      return measure({ operation: 'destroy_tenant', work, again: wrapZeros(tenantId) });
    },
  };
}

/** Runs a call, measures it and notes whether the KMS is away. */
function createTimed(ports: MeasuringPorts) {
  const { telemetry, clock } = ports;
  const meter = telemetry.meter(keysMetrics);
  const absence = createAbsence(ports);
  meter.observe('lethe.kms.away', () => [{ value: absence.ms() / 1_000, attributes: {} }]);
  return async function timed<Result>(call: Call<Result>): Promise<Result> {
    const { operation, work, again = call } = call;
    const attributes = { 'lethe.kms.operation': operation };
    const beganMs = clock.monotonicMs();
    const seconds = () => (clock.monotonicMs() - beganMs) / 1_000;
    try {
      const result = await work();
      absence.end();
      meter.record('lethe.kms.call.duration', seconds(), attributes);
      return result;
    } catch (error) {
      const reason = reasonOf(error);
      if (awayReasons.has(reason)) absence.note(() => timed(again));
      else absence.end();
      meter.record('lethe.kms.call.duration', seconds(), { ...attributes, 'error.type': reason });
      throw error;
    }
  };
}

/**
 * For how long the KMS has been away. Asks it every 5 s meanwhile: perhaps nobody else does, and then one failed call
 * would look like an outage without end, and an outage would be over when nobody has noticed.
 */
function createAbsence({ clock, stopping }: MeasuringPorts) {
  let sinceMs: number | undefined;
  let ask: (() => Promise<unknown>) | undefined;
  let isAsking = false;
  const askUntilBack = async (): Promise<void> => {
    isAsking = true;
    while (ask !== undefined && !stopping.aborted) {
      await sleepQuietly(clock, againMs, stopping);
      if (ask === undefined || stopping.aborted) break;
      // What it answers has ended the absence, or has not.
      await Promise.allSettled([ask()]);
    }
    isAsking = false;
  };
  return {
    ms: () => (sinceMs === undefined ? 0 : clock.monotonicMs() - sinceMs),
    note: (again: () => Promise<unknown>): void => {
      sinceMs ??= clock.monotonicMs();
      ask = again;
      if (!isAsking) void askUntilBack();
    },
    end: (): void => {
      sinceMs = undefined;
      ask = undefined;
    },
  };
}
