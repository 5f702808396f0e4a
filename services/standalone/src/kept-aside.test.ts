import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { createTemporaryFolder } from '@lethe/platform/testing/temporary-folder.ts';
import { holdDataFolder } from './data-folder.ts';
import { asideName, listKeptAside, warnOfKeptAside } from './kept-aside.ts';

describe('what a repair has kept aside', () => {
  it('is listed with its moment, and every start warns of it', async () => {
    const temporary = createTemporaryFolder('kept-aside');
    const folder = await holdDataFolder(temporary.path);
    const [older, newer] = [Date.UTC(2026, 0, 2, 3, 4, 5), Date.UTC(2026, 5, 1)];
    const at = (name: string) => path.join(folder.root, name);
    mkdirSync(at(asideName('chdb', newer)));
    for (const name of ['log.sqlite', 'log.sqlite.new', 'notes.damaged-today']) {
      writeFileSync(at(name), '');
    }
    writeFileSync(at(`${asideName('log.sqlite', older)}-wal`), '');
    const kept = await listKeptAside(folder);
    assert.deepEqual(kept, [
      { name: 'log.sqlite.damaged-2026-01-02T03-04-05Z-wal', sinceMs: older },
      { name: 'chdb.damaged-2026-06-01T00-00-00Z', sinceMs: newer },
    ]);
    const lines: string[] = [];
    const destination = { write: (line: string) => lines.push(line) };
    await warnOfKeptAside(folder, createLogger({ service: 'test', level: 'warn', destination }));
    assert.equal(lines.length, 2);
    for (const { name } of kept) assert.ok(lines.some((line) => line.includes(name)));
    folder.release();
    temporary.remove();
  });
});
