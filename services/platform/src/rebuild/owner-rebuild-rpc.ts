import { createRebuildRpc, type RebuildRpc } from './rebuild-handler.ts';
import { type OwnerRebuildPorts, type OwnerRebuildReport, rebuildOwner } from './rebuild-owner.ts';

/** The rebuild of an event owner as its RPC. */
export function createOwnerRebuildRpc<State>(ports: OwnerRebuildPorts<State>): RebuildRpc {
  return createRebuildRpc(async ({ checkOnly, acceptDifferences, signal, tell }) => {
    const report = await rebuildOwner(ports, {
      checkOnly,
      acceptDifferences,
      signal,
      onProgress: ({ phase, done, total }) =>
        tell({
          $case: 'progress',
          value: {
            phase,
            done: BigInt(done),
            total: BigInt(total),
            chunksRefolded: 0n,
            chunksCopied: 0n,
          },
        }),
    });
    tell({ $case: 'report', value: reportMessage(report) });
  });
}

function reportMessage(report: OwnerRebuildReport) {
  const { differences, counts } = report;
  return {
    swapped: report.swapped,
    tables: counts.map(({ name, live, fresh }) => ({
      name,
      liveRows: BigInt(live),
      rebuiltRows: BigInt(fresh),
      differingRows: BigInt(differences.byTable.get(name) ?? 0),
    })),
    differences: BigInt(differences.total),
    firstDifferences: differences.first.map((one) => ({ ...one, columns: [...one.columns] })),
    recordsRead: BigInt(report.recordsRead),
    streamsFolded: BigInt(report.streamsFolded),
    streamsUnderErasure: BigInt(report.streamsUnderErasure),
    rowsChangedMeanwhile: BigInt(report.changed),
    chunksRefolded: 0n,
    chunksCopied: 0n,
    copiedChunks: [],
    durationMs: BigInt(Math.round(report.durationMs)),
    exclusiveMs: BigInt(Math.round(report.exclusiveMs)),
  };
}
