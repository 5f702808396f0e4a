import type { ServiceName } from '@lethe/proto/access.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { serviceMetrics } from '../lifecycle/metrics.ts';
import { observeProblems, observeProcess } from '../lifecycle/observe-service.ts';
import type { UndoStack } from '../lifecycle/undo-stack.ts';
import type { RunningTelemetry } from '../telemetry/open-telemetry.ts';
import { noTelemetry, type Telemetry } from '../telemetry/port.ts';
import type { TlsSource } from '../tls/tls-source.ts';

/** What a process says of itself, looked at whenever metrics are exported. */
export interface ProcessToObserve {
  readonly name: ServiceName;
  readonly clock: Clock;
  readonly isReady: () => boolean;
  readonly serviceProblem: () => string | undefined;
  /** Of what was opened for the service, which is its KMS if anything. */
  readonly openedProblem: () => string | undefined;
  /** The internal one, and the public one where there is a public port. */
  readonly tls: () => readonly TlsSource[];
}

/** How long the last export may take: a collector that is away must not hold up the end of a process. */
const flushMs = 3_000;

/** Begins a process's telemetry. Its end goes first on the stack, so that the last export comes after all else. */
export function beginTelemetry(
  running: RunningTelemetry | undefined,
  undo: UndoStack,
  observed: ProcessToObserve,
): Telemetry {
  if (running === undefined) return noTelemetry;
  undo.push(async () => await running.stop(flushMs));
  const telemetry = running.of(observed.name);
  const end = observeProcess(telemetry, observed.isReady);
  undo.push(async () => end());
  observeProblems(telemetry, {
    service: observed.serviceProblem,
    kms: observed.openedProblem,
    tls: () => tlsProblem(observed.tls()),
  });
  telemetry.meter(serviceMetrics).observe('lethe.tls.certificate.lifetime', () =>
    observed.tls().map((source, index) => ({
      value: (source.current().expiresMs - observed.clock.nowMs()) / 1_000,
      attributes: { 'lethe.certificate.use': index === 0 ? 'internal' : 'public' },
    })),
  );
  return telemetry;
}

function tlsProblem(sources: readonly TlsSource[]): string | undefined {
  return sources.flatMap((source) => source.problem() ?? source.warning() ?? [])[0];
}
