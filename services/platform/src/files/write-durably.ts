import { open, rename, rm } from 'node:fs/promises';
import path from 'node:path';

/**
 * Replaces a file whole: whoever reads it sees the old or the new content, after a power cut too. Owner-only (0600).
 * If the process dies before the rename, the old file stands and `<file>.new` is left over, to be overwritten by the
 * next call.
 */
export async function writeDurably(file: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${file}.new`;
  // A leftover with wider rights must not keep them.
  await rm(temporary, { force: true });
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
  const folder = await open(path.dirname(file), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
