import { failureFields, failureText } from '@lethe/platform/errors/failure.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import type { Logger } from '@lethe/platform/log/logger.ts';
import { createBackoff } from '@lethe/platform/retry/backoff.ts';
import type { CommittedChunk } from './commit-chunk.ts';
import {
  finishManifest,
  finishPendingManifests,
  type InsertPorts,
  manifestsPerPage,
} from './insert-manifests.ts';

/**
 * Brings committed chunks into the ledger. While the ledger refuses, chunks go on being committed: an erasure waits for
 * that, and the log keeps its records for some days only. Their manifests are inserted, oldest first, once it takes them.
 */
export interface Inserter {
  /**
   * At the beginning of a round: inserts some of what was left behind, by failures or by owners that died. It looks every
   * now and then, and at once when it is due: at a start, and after a round that failed.
   */
  catchUp(when: { readonly isDue: boolean }): Promise<void>;
  /** After the commit of a chunk. */
  insert(chunk: CommittedChunk): Promise<void>;
  /** Why the ledger stands still, when it has for some time. */
  problem(): string | undefined;
}

export interface InserterPorts extends InsertPorts {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How often to look for manifests that another owner left behind when it died. */
const leftBehindMs = 30_000;
const failuresToReport = 5;

export function createInserter(ports: InserterPorts): Inserter {
  const { clock, logger } = ports;
  const backoff = createBackoff(200, 15_000);
  // A start is like the time after a failure: another life may have left something behind.
  let isBehind = true;
  let lookAgainMs = 0;
  let problem: string | undefined;

  /** `work` says whether something is left behind; after a failure something is. */
  const attempt = async (work: () => Promise<boolean>): Promise<void> => {
    isBehind = true;
    try {
      isBehind = await work();
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      const delayMs = backoff.next();
      lookAgainMs = clock.monotonicMs() + delayMs;
      if (backoff.failures() >= failuresToReport) problem = `ledger: ${failureText(error)}`;
      const fields = { component: 'projection', ...failureFields(error), delayMs };
      logger.warn(fields, 'the ledger waits; chunks are committed without it');
      return;
    }
    backoff.reset();
    problem = undefined;
  };
  return {
    catchUp: async ({ isDue }) => {
      if (!isDue && clock.monotonicMs() < lookAgainMs) return;
      await attempt(async () => {
        const isMoreLeft = (await finishPendingManifests(ports)) === manifestsPerPage;
        lookAgainMs = isMoreLeft ? 0 : clock.monotonicMs() + leftBehindMs;
        return isMoreLeft;
      });
    },
    insert: async ({ manifestId, inserts }) => {
      if (isBehind) return;
      await attempt(async () => {
        await finishManifest(ports, manifestId, inserts);
        return false;
      });
    },
    problem: () => problem,
  };
}
