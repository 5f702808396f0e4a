import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import type { Gate } from '../ledger/gate.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { type AnalyticsDatabase, insertsOfManifest } from '../store.ts';
import { createFreshInserts, exchangeLedger, type FreshInserts } from './fresh-ledger.ts';
import { missingChunks, noteChunks, readChunk } from './rebuild-store.ts';

export interface SwapPorts {
  readonly db: AnalyticsDatabase;
  readonly ledger: Pick<Ledger, 'insert' | 'statements'>;
  /** The projection's turns: it stands still while the tables are exchanged. */
  readonly turn: Gate;
  readonly clock: Clock;
}

export interface SwappedLedger {
  readonly swapped: boolean;
  readonly exclusiveMs: number;
  readonly chunksMeanwhile: number;
}

const chunksPerPage = 200;

/**
 * The exclusive part: the projection waits for its turn while the last chunks are taken over and the tables exchanged.
 * 1. Before the exchange the fresh tables get every chunk that was committed meanwhile, but for those of the turn.
 * 2. Dies before the exchange: nothing has happened. In the middle of it or right after: `recoverLedger` finds chunks
 *    that the old tables alone hold.
 * 3. Other processes of analytics take no turns with us: a chunk that one of them commits before the exchange may be
 *    inserted into the old table. It is visible to the look that follows the exchange, and inserted once more; one that
 *    is not visible to it yet is inserted after its commit, into the new table.
 */
export async function swapLedger(ports: SwapPorts, onStart: () => void): Promise<SwappedLedger> {
  const { ledger, clock, turn } = ports;
  onStart();
  const inserts = createFreshInserts(ledger.statements);
  let chunksMeanwhile = await takeOverChunks(ports, inserts);
  return turn(async () => {
    const sinceMs = clock.monotonicMs();
    chunksMeanwhile += await takeOverChunks(ports, inserts);
    await exchangeLedger(ledger.statements);
    chunksMeanwhile += await insertMissing(ports);
    return { swapped: true, exclusiveMs: clock.monotonicMs() - sinceMs, chunksMeanwhile };
  });
}

/** Puts chunks that came meanwhile into the fresh tables, byte for byte as they were stored. */
async function takeOverChunks({ db }: SwapPorts, inserts: FreshInserts): Promise<number> {
  let taken = 0;
  for (;;) {
    const page = await missingChunks(db, chunksPerPage);
    if (page.length === 0) return taken;
    for (const manifestId of page) {
      inserts.add(manifestId, (await readChunk(db, manifestId)).inserts);
    }
    await noteChunks(db, await inserts.flush());
    taken += page.length;
  }
}

/** After the exchange: the same for chunks of other processes, into the tables that are live now. */
async function insertMissing({ db, ledger }: SwapPorts): Promise<number> {
  let inserted = 0;
  for (;;) {
    const page = await missingChunks(db, chunksPerPage);
    if (page.length === 0) return inserted;
    for (const manifestId of page) {
      for (const insert of await insertsOfManifest(db, manifestId)) await ledger.insert(insert);
    }
    await noteChunks(db, page);
    inserted += page.length;
  }
}
