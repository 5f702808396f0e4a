import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { openDataFolder } from './data-folder.ts';
import { openSigningKey } from './key-files.ts';

const hasReason = (reason: string) => (error: unknown) =>
  error instanceof ServiceError && error.reason === reason;

describe('the data folder', () => {
  let root = '';
  beforeEach(async () => {
    root = path.join(await mkdtemp(path.join(tmpdir(), 'lethe-folder-')), 'data');
  });
  afterEach(async () => {
    await rm(path.dirname(root), { recursive: true });
  });

  it('is made for its owner alone and opens again after a release', async () => {
    const folder = await openDataFolder(root);
    assert.equal((await stat(root)).mode & 0o777, 0o700);
    folder.release();
    (await openDataFolder(root)).release();
  });

  it('is refused while another process works on it', async () => {
    const folder = await openDataFolder(root);
    const script = `import { openDataFolder } from ${JSON.stringify(import.meta.resolve('./data-folder.ts'))};
      try { await openDataFolder(${JSON.stringify(root)}); } catch (error) { console.log(error.reason); }`;
    const other = spawnSync(process.execPath, ['--input-type=module', '-e', script]);
    assert.equal(other.stdout.toString().trim(), 'DATA_FOLDER_IN_USE');
    folder.release();
  });

  it('is refused where no folder can be', async () => {
    await assert.rejects(openDataFolder('/dev/null/x'), hasReason('DATA_FOLDER_UNUSABLE'));
  });

  it('is free again after kill -9 of the process that held it', async () => {
    const script = `import { openDataFolder } from ${JSON.stringify(import.meta.resolve('./data-folder.ts'))};
      await openDataFolder(${JSON.stringify(root)}); process.kill(process.pid, 'SIGKILL');`;
    const dead = spawnSync(process.execPath, ['--input-type=module', '-e', script]);
    assert.equal(dead.signal, 'SIGKILL');
    (await openDataFolder(root)).release();
  });

  it('is refused when a newer version wrote it, and left as it was', async () => {
    (await openDataFolder(root)).release();
    const file = path.join(root, 'version.json');
    await writeFile(file, '{"format":99}');
    await assert.rejects(openDataFolder(root), hasReason('DATA_FOLDER_NEWER'));
    assert.equal(await readFile(file, 'utf8'), '{"format":99}');
  });

  it('is refused with a damaged version file', async () => {
    (await openDataFolder(root)).release();
    await writeFile(path.join(root, 'version.json'), '{"for');
    await assert.rejects(openDataFolder(root), hasReason('STORE_DAMAGED'));
  });

  it('keeps a damaged signing key for its owner to restore', async () => {
    const folder = await openDataFolder(root);
    const first = await openSigningKey(folder.issuer, 'tokens made so far stop working.');
    assert.deepEqual(await openSigningKey(folder.issuer, ''), first);
    assert.equal((await stat(folder.issuer)).mode & 0o777, 0o600);
    await writeFile(folder.issuer, '{"kty":"OKP"');
    await assert.rejects(openSigningKey(folder.issuer, ''), hasReason('KEYRING_DAMAGED'));
    assert.equal(await readFile(folder.issuer, 'utf8'), '{"kty":"OKP"');
    folder.release();
  });
});
