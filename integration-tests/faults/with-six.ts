import type { ServiceName } from '@lethe/proto/access.ts';
import { type SixProcesses, startSixProcesses } from '../../deploy/local/six-processes.ts';
import { openPatientClient, type PatientClient } from './client.ts';
import { processesLeft } from './left-over.ts';
import { supervise, type Supervised } from './supervised.ts';

/** Six processes that are started again when they end, and a client of theirs. */
export interface World {
  readonly six: SixProcesses;
  readonly services: ReadonlyMap<ServiceName, Supervised>;
  readonly client: PatientClient;
  /** Takes every process id that is started beside the six. */
  readonly pids: Set<number>;
  readonly say: (line: string) => void;
}

export interface WorldWish {
  readonly vaultBinary: string;
  readonly say: (line: string) => void;
  /** Further variables of every service. */
  readonly env?: Readonly<Record<string, string>>;
  /** Of the client's calls. */
  readonly callTimeoutMs?: number;
}

/** Starts all, works, ends all; whatever is thrown, nothing is left running; what is, is a violation. */
export async function withSix<Result extends { readonly violations: readonly string[] }>(
  { vaultBinary, say, env = {}, callTimeoutMs }: WorldWish,
  work: (world: World) => Promise<Result>,
): Promise<Result & { readonly processesLeft: readonly number[] }> {
  const six = await startSixProcesses({ vaultBinary, env });
  const pids = new Set<number>();
  const services = new Map<ServiceName, Supervised>();
  for (const [name, service] of six.services) services.set(name, supervise(service));
  const client = openPatientClient(six.address, six.dataFolder, callTimeoutMs);
  const folders = [six.dataFolder, six.kafka.folder, six.vault.folder, six.clickHouse.folder];
  let result: Result;
  try {
    say(versionsOf(six).join(', '));
    result = await work({ six, services, client, pids, say });
  } finally {
    client.close();
    for (const service of services.values()) {
      service.leave();
      for (const pid of service.pids) pids.add(pid);
    }
    await six.stop();
  }
  const left = processesLeft(pids, folders);
  const violations = [...result.violations, ...left.map((pid) => `process ${pid} is left over`)];
  return { ...result, processesLeft: left, violations };
}

/** For the report. */
export function versionsOf({ kafka, postgres, vault }: SixProcesses): readonly string[] {
  return [`Kafka ${kafka.version}`, postgres.version, vault.version];
}
