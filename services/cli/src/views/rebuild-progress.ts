import { RebuildPhase, type RebuildProgress } from '@lethe/proto/gen/lethe/rebuild/v1/service.ts';
import { formatCount } from '../output/numbers.ts';
import { type Progress, startProgress } from '../output/progress.ts';
import type { Terminal } from '../surroundings.ts';

const titles: Readonly<Record<RebuildPhase, string>> = {
  [RebuildPhase.REBUILD_PHASE_UNSPECIFIED]: 'Rebuild',
  [RebuildPhase.REBUILD_PHASE_READ]: 'Read the log',
  [RebuildPhase.REBUILD_PHASE_FOLD]: 'Fold anew',
  [RebuildPhase.REBUILD_PHASE_COMPARE]: 'Compare',
  [RebuildPhase.REBUILD_PHASE_SWAP]: 'Swap',
  [RebuildPhase.UNRECOGNIZED]: 'Rebuild',
};

/** A line for each phase, in the order in which they come. */
export interface ShownRebuild {
  show(progress: RebuildProgress): void;
  /** Whatever comes next, a report or an error, stands on a line of its own. */
  end(): void;
}

export function showRebuildProgress(terminal: Terminal): ShownRebuild {
  let shown: { readonly phase: RebuildPhase; readonly line: Progress; done: bigint } | undefined;
  return {
    show: (progress) => {
      const { phase, total, done } = progress;
      if (shown?.phase !== phase) {
        shown?.line.finish(formatCount(shown.done));
        const title = titles[phase];
        const known = total === 0n ? undefined : Number(total);
        shown = { phase, line: startProgress(terminal, { title, total: known }), done: 0n };
      }
      shown.done = done;
      shown.line.update(Number(done), noteOf(progress));
    },
    end: () => {
      shown?.line.abandon();
      shown = undefined;
    },
  };
}

function noteOf({ chunksRefolded, chunksCopied }: RebuildProgress): string {
  if (chunksRefolded + chunksCopied === 0n) return '';
  const refolded = `${formatCount(chunksRefolded)} chunks refolded`;
  return chunksCopied === 0n ? refolded : `${refolded}, ${formatCount(chunksCopied)} copied`;
}
