import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { ServiceProcess } from '../../deploy/local/service-process.ts';

/** A process that ended although nobody killed it. */
export interface OwnEnd {
  readonly service: string;
  readonly exitCode: number | null;
  /** What its log says of it. */
  readonly reason: string;
}

/** A service that is started again whenever its process ends, as whoever runs it in earnest does it. */
export interface Supervised {
  readonly name: string;
  readonly process: ServiceProcess;
  /** Every process id that it has had. */
  readonly pids: ReadonlySet<number>;
  readonly ownEnds: readonly OwnEnd[];
  /** SIGKILL; it is started again a moment later. */
  killNine(): Promise<void>;
  /** SIGTERM, which lets it finish; it is started again a moment later. */
  terminate(): Promise<Ended>;
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  untilServing(): Promise<void>;
  /** Ends the supervision, not the process. */
  leave(): void;
}

/** How a process ended that was told to. */
export interface Ended {
  /** Null when a signal ended it. */
  readonly exitCode: number | null;
  /** From the signal to its end. */
  readonly tookMs: number;
}

const restartAfterMs = 200;
const pollMs = 100;
const servingWithinMs = 240_000;

export function supervise(service: ServiceProcess): Supervised {
  const pids = new Set<number>();
  const ownEnds: OwnEnd[] = [];
  let isLeft = false;
  let killed: ((value: unknown) => void) | undefined;
  const note = () => {
    const pid = service.pid();
    if (pid !== undefined) pids.add(pid);
  };
  const watch = async (): Promise<void> => {
    for (;;) {
      note();
      const exitCode = await service.ended();
      if (isLeft) return;
      if (killed === undefined) ownEnds.push(ownEndOf(service, exitCode));
      await delay(restartAfterMs);
      if (isLeft) return;
      service.start();
      killed?.(undefined);
      killed = undefined;
    }
  };
  const end = async (signal: 'SIGKILL' | 'SIGTERM'): Promise<Ended> => {
    const restarted = new Promise((resolve) => {
      killed = resolve;
    });
    const beganMs = performance.now();
    const exitCode = await service.end(signal);
    const tookMs = performance.now() - beganMs;
    await restarted;
    return { exitCode, tookMs };
  };
  note();
  void watch();
  return {
    name: service.name,
    process: service,
    pids,
    ownEnds,
    killNine: async () => void (await end('SIGKILL')),
    terminate: async () => await end('SIGTERM'),
    signal: (signal) => {
      const pid = service.pid();
      if (pid !== undefined) process.kill(pid, signal);
    },
    untilServing: async () => await untilServing(service),
    leave: () => {
      isLeft = true;
    },
  };
}

/** Waits, however often it is started meanwhile. */
async function untilServing(service: ServiceProcess): Promise<void> {
  const endsMs = performance.now() + servingWithinMs;
  for (;;) {
    const said = await service.health();
    if (said?.phase === 'serving') return;
    if (performance.now() > endsMs) {
      throw new Error(
        `${service.name} does not serve: it waits for ${said?.waitsFor ?? 'its start'}`,
      );
    }
    await delay(pollMs);
  }
}

function ownEndOf({ name, logFile }: ServiceProcess, exitCode: number | null): OwnEnd {
  const fatal = readFileSync(logFile, 'utf8')
    .split('\n')
    .findLast((line) => line.includes('"level":"fatal"'));
  if (fatal === undefined) return { service: name, exitCode, reason: 'said nothing' };
  const { reason, problem } = JSON.parse(fatal) as { reason?: string; problem?: string };
  return { service: name, exitCode, reason: `${reason ?? ''} ${problem ?? ''}`.trim() };
}
