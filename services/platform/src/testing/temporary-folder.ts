import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder that goes with `remove`. */
export interface TemporaryFolder {
  readonly path: string;
  remove(): void;
}

export function createTemporaryFolder(name: string): TemporaryFolder {
  const path = mkdtempSync(join(tmpdir(), `lethe-${name}-`));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
