import type { ErasureId } from '@lethe/platform/ids/ids.ts';
import { newUuid } from '@lethe/platform/ids/new-id.ts';
import type { Clock, RandomBytes } from '@lethe/platform/lifecycle/clock.ts';
import { enqueue } from '@lethe/platform/outbox/enqueue.ts';
import type { Kysely, Transaction } from 'kysely';
import {
  decide,
  type Erasure,
  type ErasureChange,
  type ErasureCommand,
  evolve,
} from './domain/erasure.ts';
import { eventsOf, outboxRowOf, privacyTopic } from './privacy-events.ts';
import type { PrivacySchema } from './schema.ts';
import {
  insertErasure,
  insertReceipt,
  lockErasure,
  type StoredErasure,
  updateErasure,
} from './store.ts';

export interface ErasureWriterPorts {
  readonly db: Kysely<PrivacySchema>;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  /**
   * After a commit that changed the erasure: wakes the relay, the driver and whoever watches. It may be lost when the
   * process dies; their polls find the change too.
   */
  readonly onChanged: (erasureId: ErasureId) => void;
  /** Told of it too, for telemetry. */
  readonly measured?: (command: ErasureCommand['type'], erasure: Erasure) => void;
  /** Of the call that changes it, for its records; none when absent. */
  readonly traceContext?: () => Buffer | undefined;
}

/** Applies commands to erasures: the one place where their state changes. */
export interface ErasureWriter {
  /**
   * One transaction: lock, decide, store the state, hand its events to the relay. If the process dies before the
   * commit nothing has happened; after it, repeating the command changes nothing. Answers the state after it.
   */
  apply(erasureId: ErasureId, command: ErasureCommand): Promise<Erasure>;
}

type Tx = Transaction<PrivacySchema>;

interface Outcome {
  readonly erasure: Erasure;
  readonly isChanged: boolean;
}

export function createErasureWriter(ports: ErasureWriterPorts): ErasureWriter {
  return {
    apply: async (erasureId, command) => {
      const { erasure, isChanged } = await ports.db
        .transaction()
        .execute(async (tx) => await applyWithin(tx, ports, erasureId, command));
      if (isChanged) ports.onChanged(erasureId);
      if (isChanged) ports.measured?.(command.type, erasure);
      return erasure;
    },
  };
}

async function applyWithin(
  tx: Tx,
  ports: ErasureWriterPorts,
  erasureId: ErasureId,
  command: ErasureCommand,
): Promise<Outcome> {
  const before = await lockErasure(tx, erasureId);
  const changes = decide(command, before?.erasure);
  if (before === undefined) return await create(tx, ports, erasureId, changes);
  let stored = before;
  for (const change of changes) stored = await applyChange(tx, ports, stored, change);
  if (changes.length > 0) await updateErasure(tx, stored);
  return { erasure: stored.erasure, isChanged: changes.length > 0 };
}

async function create(
  tx: Tx,
  ports: ErasureWriterPorts,
  erasureId: ErasureId,
  [requested]: readonly ErasureChange[],
): Promise<Outcome> {
  if (requested === undefined) throw new RangeError('a new erasure begins with its request');
  const erasure = evolve(undefined, requested);
  // The row first: of two requests with one id, the second waits for the first, finds its row and publishes nothing.
  if (await insertErasure(tx, { erasure, events: 1 })) {
    await publish(tx, ports, { erasure, events: 0 }, requested);
    return { erasure, isChanged: true };
  }
  const other = await lockErasure(tx, erasureId);
  if (other === undefined) throw new RangeError('an erasure row vanished');
  return { erasure: other.erasure, isChanged: false };
}

async function applyChange(
  tx: Tx,
  ports: ErasureWriterPorts,
  before: StoredErasure,
  change: ErasureChange,
): Promise<StoredErasure> {
  const erasure = evolve(before.erasure, change);
  if (change.type === 'receiptRecorded') await insertReceipt(tx, erasure.erasureId, change.receipt);
  return await publish(tx, ports, { erasure, events: before.events }, change);
}

async function publish(
  tx: Tx,
  ports: ErasureWriterPorts,
  { erasure, events }: StoredErasure,
  change: ErasureChange,
): Promise<StoredErasure> {
  // Read after the transaction began, as `enqueue` asks for.
  const recordedAtMs = ports.clock.nowMs();
  const traceContext = ports.traceContext?.();
  const rows = eventsOf(erasure, change).map((event, index) =>
    outboxRowOf({
      tenantId: erasure.tenantId,
      stream: { erasureId: erasure.erasureId },
      position: events + index + 1,
      eventId: newUuid(ports.clock, ports.randomBytes),
      event,
      recordedAtMs,
      traceContext,
    }),
  );
  await enqueue(tx, privacyTopic, rows);
  return { erasure, events: events + rows.length };
}
