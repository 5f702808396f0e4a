import { fork } from 'node:child_process';
import { z } from 'zod';
import { exitCodes } from '../exit-codes.ts';
import { CliError } from '../failures/cli-error.ts';
import { startProgress } from '../output/progress.ts';
import type { Surroundings } from '../surroundings.ts';
import { findServerMain } from './start-server.ts';

const findingSchema = z.object({
  store: z.string(),
  state: z.enum(['sound', 'mendable', 'mended', 'lost']),
  what: z.string(),
  action: z.string(),
});

const messageSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('report'),
    findings: z.array(findingSchema),
    isCutShort: z.boolean(),
    keptAside: z.array(z.object({ name: z.string(), sinceMs: z.number() })),
  }),
  z.object({
    type: z.literal('failed'),
    reason: z.string(),
    message: z.string(),
    next: z.string(),
  }),
]);

/** What was found in one store of a data folder, and what is to be done or was done. */
export type Finding = z.infer<typeof findingSchema>;

export interface RepairReport {
  readonly findings: readonly Finding[];
  /** A damage stands before stores that can only be judged once it is mended. */
  readonly isCutShort: boolean;
  /** Damaged files that repairs have kept in the data folder, oldest first: erasures do not reach them. */
  readonly keptAside: readonly { readonly name: string; readonly sinceMs: number }[];
}

/**
 * Looks at a data folder, or mends it, in a process of its own: the embedded stores may abort on damaged files. Throws
 * a CliError with what the process says, such as DATA_FOLDER_IN_USE.
 */
export async function runRepair(
  data: string,
  mode: 'look' | 'mend',
  { terminal, childEnvironment, signal }: Surroundings,
  repairMain = findServerMain('repair-main'),
): Promise<RepairReport> {
  signal.throwIfAborted();
  const child = fork(repairMain, [], {
    env: { ...childEnvironment, LETHE_DATA: data, LETHE_REPAIR: mode },
    stdio: ['ignore', 2, 2, 'ipc'],
  });
  const title = mode === 'look' ? 'Looking at the data folder' : 'Mending the data folder';
  const progress = startProgress(terminal, { title, total: undefined, showsCount: false });
  const stop = () => child.kill('SIGKILL');
  signal.addEventListener('abort', stop, { once: true });
  try {
    const message = await new Promise<z.infer<typeof messageSchema>>((resolve, reject) => {
      child.on('message', (raw) => {
        const parsed = messageSchema.safeParse(raw);
        if (parsed.success) resolve(parsed.data);
      });
      child.once('error', reject);
      child.once('exit', (code, signalName) => reject(ended(code, signalName)));
    });
    progress.abandon();
    if (message.type === 'report') return message;
    const { message: what, reason, next } = message;
    throw new CliError(exitCodes.failed, what, { reason, next });
  } finally {
    progress.abandon();
    signal.removeEventListener('abort', stop);
  }
}

function ended(code: number | null, signalName: string | null): CliError {
  const how = signalName === null ? `with status ${code}` : `by ${signalName}`;
  return new CliError(exitCodes.failed, `The repair ended ${how}.`, {
    next: 'Run it again: it goes on where it was. LETHE_LOG_LEVEL=info says more.',
  });
}
