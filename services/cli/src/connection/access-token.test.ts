import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { exportJWK, generateKeyPair, jwtVerify, type CryptoKey } from 'jose';
import { runCaptured } from '../testing/captured.ts';

describe('lethe token', () => {
  let folder = '';
  let publicKey: CryptoKey;
  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'lethe-token-'));
    const pair = await generateKeyPair('EdDSA', { extractable: true });
    ({ publicKey } = pair);
    await writeFile(
      path.join(folder, 'issuer.jwk'),
      JSON.stringify(await exportJWK(pair.privateKey)),
    );
  });
  after(async () => {
    await rm(folder, { recursive: true });
  });

  const mint = async (...argv: readonly string[]) => {
    const { exitCode, out, err } = await runCaptured(['token', '--data', folder, ...argv]);
    assert.equal(exitCode, 0, err);
    const { payload } = await jwtVerify(out.trim(), publicKey, {
      issuer: 'lethe-standalone',
      audience: 'lethe',
    });
    return payload;
  };

  it('speaks for one tenant in the wished roles and for the wished time', async () => {
    const claims = await mint(
      '--tenant',
      'acme',
      '--role',
      'writer,reader',
      '--role',
      'privacy-officer',
      '--ttl',
      '1h',
    );
    assert.equal(claims['tenant'], 'acme');
    assert.deepEqual(claims['roles'], ['writer', 'reader', 'privacy-officer']);
    assert.equal((claims.exp ?? 0) - (claims.iat ?? 0), 3600);
    assert.equal(typeof claims.sub, 'string');
  });

  it('gives the least unless asked for more', async () => {
    assert.deepEqual((await mint('--tenant', 'acme'))['roles'], ['reader']);
    const platform = await mint();
    assert.deepEqual(platform['roles'], ['platform-admin']);
    assert.equal(platform['tenant'], undefined);
    assert.equal((platform.exp ?? 0) - (platform.iat ?? 0), 900);
  });

  it('says what to do where there is no key or a damaged one', async () => {
    const none = await runCaptured(['token', '--data', '/nowhere']);
    assert.equal(none.exitCode, 2);
    assert.match(none.err, /no file \/nowhere\/issuer\.jwk/);
    const damaged = await mkdtemp(path.join(tmpdir(), 'lethe-token-'));
    await writeFile(
      path.join(damaged, 'issuer.jwk'),
      '{"kty":"OKP","crv":"Ed25519","x":"AA","d":"secret-part"}',
    );
    const { exitCode, err } = await runCaptured(['token', '--data', damaged]);
    assert.equal(exitCode, 2);
    assert.doesNotMatch(err, /secret-part/);
    await rm(damaged, { recursive: true });
  });
});
