import { createRebuildRpc, type RebuildRpc } from '@lethe/platform/rebuild/rebuild-handler.ts';
import { RebuildPhase } from '@lethe/proto/gen/lethe/rebuild/v1/service.ts';
import {
  type LedgerRebuildPorts,
  type LedgerRebuildReport,
  rebuildLedger,
} from './rebuild-ledger.ts';

const phases = {
  fold: RebuildPhase.REBUILD_PHASE_FOLD,
  compare: RebuildPhase.REBUILD_PHASE_COMPARE,
  swap: RebuildPhase.REBUILD_PHASE_SWAP,
} as const;

/** The rebuild of the ledger as its RPC. */
export function createLedgerRebuildRpc(ports: LedgerRebuildPorts): RebuildRpc {
  return createRebuildRpc(async ({ checkOnly, acceptDifferences, signal, tell }) => {
    const report = await rebuildLedger(ports, {
      checkOnly,
      acceptDifferences,
      signal,
      onProgress: ({ phase, done, total, chunksRefolded, chunksCopied }) =>
        tell({
          $case: 'progress',
          value: {
            phase: phases[phase],
            done: BigInt(done),
            total: BigInt(total),
            chunksRefolded: BigInt(chunksRefolded),
            chunksCopied: BigInt(chunksCopied),
          },
        }),
    });
    tell({ $case: 'report', value: reportMessage(report) });
  });
}

const listedMax = 100;

function reportMessage(report: LedgerRebuildReport) {
  const { families, broken } = report;
  const rowDifferences = families.reduce((sum, { differing }) => sum + differing, 0);
  const brokenChunks = broken.map(({ manifestId, kind, families: names }) => {
    return { table: 'chunk', row: manifestId, kind, columns: [...names] };
  });
  const rows = families.flatMap(({ first }) => first);
  return {
    swapped: report.swapped,
    tables: families.map(({ name, live, fresh, differing }) => ({
      name,
      liveRows: BigInt(live),
      rebuiltRows: BigInt(fresh),
      differingRows: BigInt(differing),
    })),
    differences: BigInt(rowDifferences + broken.length),
    firstDifferences: [...brokenChunks, ...rows]
      .slice(0, listedMax)
      .map((one) => ({ ...one, columns: [...one.columns] })),
    recordsRead: BigInt(report.recordsRead),
    streamsFolded: 0n,
    streamsUnderErasure: 0n,
    rowsChangedMeanwhile: BigInt(report.chunksMeanwhile),
    chunksRefolded: BigInt(report.chunksRefolded),
    chunksCopied: BigInt(report.chunksCopied),
    copiedChunks: report.copied.map(({ manifestId, why, parts }) => ({
      manifestId,
      why,
      ranges: parts.map(({ topic, partition, firstSequence, lastSequence, erased }) => {
        return { topic, partition, firstSequence, lastSequence, erased: BigInt(erased) };
      }),
    })),
    durationMs: BigInt(Math.round(report.durationMs)),
    exclusiveMs: BigInt(Math.round(report.exclusiveMs)),
  };
}
