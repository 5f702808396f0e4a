import { setTimeout as delay } from 'node:timers/promises';
import type { ServiceProcess } from '../../deploy/local/service-process.ts';
import type { SixProcesses } from '../../deploy/local/six-processes.ts';
import { owners } from '../harness/stored-tables.ts';

interface Watched {
  readonly name: string;
  readonly process: Pick<ServiceProcess, 'health'>;
}

const pollMs = 500;
const withinMs = 10 * 60_000;

/** Waits until every service serves without a problem and nothing is on its way. */
export async function untilSettled(
  { query }: Pick<SixProcesses, 'query'>,
  services: readonly Watched[],
): Promise<void> {
  const endsMs = performance.now() + withinMs;
  for (;;) {
    const open = [...(await problemsOf(services)), ...pending(query)];
    if (open.length === 0) return;
    if (performance.now() > endsMs) throw new Error(`it does not settle: ${open.join('; ')}`);
    await delay(pollMs);
  }
}

async function problemsOf(services: readonly Watched[]): Promise<readonly string[]> {
  const all = await Promise.all(
    services.map(async ({ name, process }) => {
      const said = await process.health();
      if (said?.phase !== 'serving') return [`${name} does not serve: ${said?.waitsFor ?? ''}`];
      return said.problems.map((problem) => `${name}: ${problem}`);
    }),
  );
  return all.flat();
}

function pending(query: SixProcesses['query']): readonly string[] {
  const waiting = owners.map((owner) => `(select count(*) from ${owner}.outbox)`);
  const [[rows = '', chunks = ''] = []] = query(
    `select ${waiting.join(' + ')}, (select count(*) from analytics.chunk_manifests where state <> 'done')`,
  );
  return [
    ...(rows === '0' ? [] : [`${rows} rows of outboxes`]),
    ...(chunks === '0' ? [] : [`${chunks} chunks`]),
  ];
}
