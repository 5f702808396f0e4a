import { randomBytes } from 'node:crypto';
import { type ServiceName, type Topic, topics } from '@lethe/proto/topics.ts';
import type { Kysely } from 'kysely';
import { assertPostgresFits } from '../database/postgres-check.ts';
import { openPostgres } from '../database/postgres.ts';
import { openKafkaEventLog } from '../event-log/kafka.ts';
import { openChannels } from '../grpc/channel.ts';
import { systemClock } from '../lifecycle/clock.ts';
import { createUndoStack } from '../lifecycle/undo-stack.ts';
import type { Logger } from '../log/logger.ts';
import type { RepairFinding, RepairPorts, RepairWish } from '../repair/port.ts';
import { openTlsSource } from '../tls/tls-source.ts';
import type { ProcessConfig } from './process-config.ts';

export interface RepairProcess {
  readonly name: ServiceName;
  readonly config: ProcessConfig;
  readonly repair: (ports: RepairPorts, wish: RepairWish) => Promise<readonly RepairFinding[]>;
  readonly logger: Logger;
}

/**
 * One look, or one mending, with the stores and calls that the service's own process would have. Waits for nothing:
 * throws what stands in the way.
 */
export async function runRepairProcess(
  { name, config, repair, logger }: RepairProcess,
  wish: RepairWish,
): Promise<readonly RepairFinding[]> {
  const undo = createUndoStack();
  const clock = systemClock;
  try {
    const db = openPostgres<unknown>(config.postgres);
    undo.push(async () => await db.destroy());
    await assertPostgresFits(db);
    const eventLog = await openKafkaEventLog({
      settings: config.kafka.settings,
      ensure: config.kafka.ensure,
      topics: topics.filter(
        ({ owner, consumers }: Topic) => owner === name || consumers.includes(name),
      ),
      clock,
      randomBytes,
      logger,
    });
    undo.push(async () => await eventLog.close());
    const tls = openTlsSource({ clock, logger, files: config.internal.tls, identity: name });
    undo.push(async () => await tls.stop());
    const channels = openChannels({ addresses: config.peers, tls, clock });
    undo.push(async () => channels.close());
    const { peers } = channels;
    const database = <Schema>() => db as unknown as Kysely<Schema>;
    return await repair({ database, eventLog, peers, clock, randomBytes, logger }, wish);
  } finally {
    await undo.run();
  }
}

/** For whoever runs it by hand; a line each for what was found and what is or was done. */
export function findingsText(name: string, findings: readonly RepairFinding[]): string {
  if (findings.length === 0) return `${name}: nothing to repair\n`;
  const words = { mendable: 'would', mended: 'done', lost: 'cannot be mended' } as const;
  return findings
    .map(({ state, what, action }) => `${name}: ${what}\n  ${words[state]}: ${action}\n`)
    .join('');
}
