import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { isTenantId, type TenantId } from '@lethe/platform/ids/ids.ts';
import { kmsContract } from '../testing/kms-contract.ts';
import { openKeyringKms } from './keyring-kms.ts';

async function folder(): Promise<{ path: string; remove: () => Promise<void> }> {
  const at = await mkdtemp(join(tmpdir(), 'lethe-keyring-'));
  return { path: join(at, 'keyring.json'), remove: () => rm(at, { recursive: true }) };
}

kmsContract('keyring file', async () => {
  const { path, remove } = await folder();
  const openAgain = () => openKeyringKms({ path, randomBytes });
  return { kms: await openAgain(), reopen: openAgain, close: remove };
});

describe('keyring file', () => {
  const acme = 'acme' as TenantId;
  let path: string;
  let remove: () => Promise<void>;
  const openIt = () => openKeyringKms({ path, randomBytes });

  beforeEach(async () => {
    assert.ok(isTenantId(acme));
    ({ path, remove } = await folder());
    await (await openIt()).rotate(acme);
  });
  afterEach(async () => {
    await remove();
  });

  const refusesNaming = (advice: RegExp) =>
    assert.rejects(openIt(), (error: unknown) => {
      assert.ok(error instanceof ServiceError);
      assert.equal(error.reason, 'KEYRING_DAMAGED');
      assert.ok(error.message.includes(path), 'names the file');
      assert.match(error.message, advice);
      return true;
    });

  it('is for its owner alone', async () => {
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  });

  it('leaves no temporary file, also over one that a crash left behind', async () => {
    await writeFile(`${path}.new`, 'half', { mode: 0o644 });
    await (await openIt()).rotate(acme);
    await assert.rejects(stat(`${path}.new`));
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    await openIt();
  });

  it('is refused when others may read it', async () => {
    await chmod(path, 0o640);
    await refusesNaming(/chmod 600/);
  });

  it('is refused when it is not a plain file', async () => {
    await writeFile(`${path}.real`, await readFile(path), { mode: 0o600 });
    await rm(path);
    await symlink(`${path}.real`, path);
    await refusesNaming(/plain file/);
  });

  it('is refused after any change of its bytes', async () => {
    const text = await readFile(path, 'utf8');
    const secret = /"1":"([^"]+)"/.exec(text)?.[1] ?? '';
    const flipped = (secret.startsWith('A') ? 'B' : 'A') + secret.slice(1);
    for (const broken of [
      text.replace(secret, flipped),
      text.replace('acme', 'acmf'),
      text.replace('"newestVersion":1', '"newestVersion":2'),
      text.slice(0, -1),
      '',
      '{}',
      text.replace('"format":1', '"format":2'),
    ]) {
      assert.notEqual(broken, text);
      await writeFile(path, broken, { mode: 0o600 });
      await refusesNaming(/restore it from its copy/);
    }
  });

  it('does not say its secrets in an error', async () => {
    const text = await readFile(path, 'utf8');
    const secret = /"1":"([^"]+)"/.exec(text)?.[1] ?? '';
    await writeFile(path, text.slice(0, -3), { mode: 0o600 });
    await assert.rejects(openIt(), (error: unknown) => {
      assert.ok(error instanceof ServiceError);
      assert.ok(!`${error.message} ${error.stack ?? ''} ${String(error.cause)}`.includes(secret));
      return true;
    });
  });
});
