import { mkdir, open, rename } from 'node:fs/promises';
import path from 'node:path';

/**
 * Writes the whole file or leaves the old one: a new file is made durable first and then takes the name. If the
 * process dies in between, a file that ends in ".new" is left behind and the next write replaces it.
 */
export async function writeFileSafely(file: string, text: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  const fresh = `${file}.new`;
  const handle = await open(fresh, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(fresh, file);
}
