import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** The root of this repository. */
export const repository = join(import.meta.dirname, '..');

/** File contents by path relative to the tree's root. */
export type Files = Readonly<Record<string, string>>;

/** A folder outside of the repository, laid out like it. */
export interface TemporaryTree {
  readonly root: string;
  /** Makes `path` of the tree point to `target`, relative to the tree unless absolute. */
  readonly link: (path: string, target: string) => void;
  /** Runs a command line tool of the repository in the tree; answers its standard output. */
  readonly run: (tool: string, args: readonly string[]) => string;
}

/** Writes the files, calls `use` and removes them again. */
export function withTemporaryTree(files: Files, use: (tree: TemporaryTree) => void): void {
  const root = mkdtempSync(join(tmpdir(), 'lethe-tree-'));
  try {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(join(root, dirname(path)), { recursive: true });
      writeFileSync(join(root, path), content);
    }
    use({
      root,
      link(path, target) {
        mkdirSync(join(root, dirname(path)), { recursive: true });
        symlinkSync(target.startsWith('/') ? target : join(root, target), join(root, path));
      },
      run: (tool, args) => runTool(root, tool, args),
    });
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** The tools exit non-zero when they find something, which is what the callers look for. */
function runTool(cwd: string, tool: string, args: readonly string[]): string {
  const script = join(repository, 'node_modules/.bin', tool);
  try {
    return execFileSync(process.execPath, [script, ...args], { cwd, encoding: 'utf8' });
  } catch (error) {
    if (error instanceof Error && 'stdout' in error && typeof error.stdout === 'string') {
      return error.stdout;
    }
    throw error;
  }
}
