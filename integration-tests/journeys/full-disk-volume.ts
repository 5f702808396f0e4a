import { spawnSync } from 'node:child_process';
import { closeSync, fsyncSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** A file system of its own, small enough to be filled. */
export interface SmallVolume {
  readonly folder: string;
  freeBytes(): number;
  /** Takes room away until only so much is left; where less is left already, nothing. */
  leaveFree(bytes: number): void;
  /** Gives back what `leaveFree` took. */
  makeRoom(): void;
}

const chunkBytes = 64 * 1024;

/** Mounts a volume in memory; it goes with the mount namespace that this process was started in. */
export function mountSmallVolume(folder: string, megabytes: number): SmallVolume {
  mkdirSync(folder, { recursive: true });
  const options = `size=${megabytes}m,mode=700`;
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'lethe-small', folder]);
  if (mounted.status !== 0) throw new Error(`mount: ${mounted.stderr.toString()}`);
  const ballast = join(folder, 'ballast');
  const freeBytes = () => {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  };
  return {
    folder,
    freeBytes,
    leaveFree: (bytes) => {
      const file = openSync(ballast, 'a');
      try {
        while (freeBytes() > bytes) {
          const count = Math.min(chunkBytes, freeBytes() - bytes);
          if (writeSync(file, Buffer.alloc(count)) < count) break;
        }
        fsyncSync(file);
      } catch (error) {
        // Somebody else took the last of it at the same time.
        if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
      } finally {
        closeSync(file);
      }
    },
    makeRoom: () => rmSync(ballast, { force: true }),
  };
}
