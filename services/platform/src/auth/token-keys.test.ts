import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import path from 'node:path';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, type CryptoKey } from 'jose';
import { ServiceError } from '../errors/service-error.ts';
import { createLogger } from '../log/logger.ts';
import { createHandClock, type HandClock } from '../testing/hand-clock.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../testing/temporary-folder.ts';
import { createAccessTokenVerifier } from './access-token.ts';
import { parseTokenConfig } from './token-config.ts';
import { openTokenKeys } from './token-keys.ts';

const logger = createLogger({ service: 'test', level: 'silent' });
const first = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
const second = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });

const jwksOf = async (publicKey: CryptoKey) =>
  JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'EdDSA' }] });

describe('the keys of the issuer', () => {
  let folder: TemporaryFolder;
  let file: string;
  let clock: HandClock;
  let server: Server | undefined;
  const opened = async (env: Record<string, string>) => {
    const config = parseTokenConfig('tickets', { LETHE_TOKEN_ISSUER: 'issuer', ...env });
    const verificationKey = await openTokenKeys(config, { clock, logger });
    const verify = createAccessTokenVerifier({ ...config, verificationKey }, clock);
    return async (privateKey: CryptoKey) => {
      const nowS = Math.floor(clock.nowMs() / 1000);
      const token = await new SignJWT({ roles: ['reader'], tenant: 'acme' })
        .setProtectedHeader({ alg: 'EdDSA', kid: 'k' })
        .setSubject('me')
        .setIssuer('issuer')
        .setAudience('lethe')
        .setIssuedAt(nowS)
        .setExpirationTime(nowS + 600)
        .sign(privateKey);
      return (await verify(token)).kind;
    };
  };
  const hasReason = (reason: string) => (error: unknown) =>
    error instanceof ServiceError && error.reason === reason;

  beforeEach(() => {
    folder = createTemporaryFolder('token-keys');
    file = path.join(folder.path, 'keys');
    clock = createHandClock(Date.now());
  });
  afterEach(() => {
    server?.close();
    server = undefined;
    folder.remove();
  });

  it('are read from a PEM file, and again when it was replaced; a wrong one changes nothing', async () => {
    writeFileSync(file, await exportSPKI(first.publicKey));
    const kindOf = await opened({
      LETHE_TOKEN_PUBLIC_KEY_FILE: file,
      LETHE_TOKEN_ALGORITHMS: 'EdDSA',
    });
    assert.equal(await kindOf(first.privateKey), 'tenant');
    await assert.rejects(kindOf(second.privateKey), hasReason('TOKEN_INVALID'));
    writeFileSync(file, 'rubbish');
    clock.advance(10_000);
    assert.equal(await kindOf(first.privateKey), 'tenant');
    writeFileSync(file, await exportSPKI(second.publicKey));
    clock.advance(10_000);
    assert.equal(await kindOf(second.privateKey), 'tenant');
    await assert.rejects(kindOf(first.privateKey), hasReason('TOKEN_INVALID'));
  });

  it('are read from a JWKS file', async () => {
    writeFileSync(file, await jwksOf(first.publicKey));
    const kindOf = await opened({ LETHE_TOKEN_JWKS_FILE: file });
    assert.equal(await kindOf(first.privateKey), 'tenant');
    await assert.rejects(kindOf(second.privateKey), hasReason('TOKEN_INVALID'));
  });

  it('are asked for by URL; an issuer that is away makes no token invalid', async () => {
    const answers = [503, 200];
    const body = await jwksOf(first.publicKey);
    server = createServer((_request, response) => {
      response.statusCode = answers.shift() ?? 200;
      response.end(body);
    });
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    const bound = server.address();
    assert.ok(bound !== null && typeof bound === 'object');
    const url = `http://127.0.0.1:${bound.port}/jwks`;
    const kindOf = await opened({ LETHE_TOKEN_JWKS_URL: url });
    await assert.rejects(kindOf(first.privateKey), hasReason('ISSUER_UNAVAILABLE'));
    assert.equal(await kindOf(first.privateKey), 'tenant');
    await assert.rejects(kindOf(second.privateKey), hasReason('TOKEN_INVALID'));
    const nobody = await opened({ LETHE_TOKEN_JWKS_URL: 'http://127.0.0.1:1/jwks' });
    await assert.rejects(nobody(first.privateKey), hasReason('ISSUER_UNAVAILABLE'));
  });

  it('are refused at the start when they are none', async () => {
    writeFileSync(file, 'rubbish');
    for (const variable of ['LETHE_TOKEN_JWKS_FILE', 'LETHE_TOKEN_PUBLIC_KEY_FILE']) {
      const env = { [variable]: file, LETHE_TOKEN_ALGORITHMS: 'EdDSA' };
      await assert.rejects(opened(env), hasReason('CONFIG_INVALID'));
    }
  });

  it('come from one place, over https, with asymmetric algorithms alone', () => {
    const parse = (env: Record<string, string>) => () =>
      parseTokenConfig('tickets', { LETHE_TOKEN_ISSUER: 'issuer', ...env });
    const wrong = [
      {},
      { LETHE_TOKEN_JWKS_FILE: 'a', LETHE_TOKEN_PUBLIC_KEY_FILE: 'b' },
      { LETHE_TOKEN_JWKS_URL: 'http://issuer.example/jwks' },
      { LETHE_TOKEN_JWKS_FILE: 'a', LETHE_TOKEN_ALGORITHMS: 'HS256' },
      { LETHE_TOKEN_JWKS_FILE: 'a', LETHE_TOKEN_ALGORITHMS: 'none' },
      { LETHE_TOKEN_PUBLIC_KEY_FILE: 'a', LETHE_TOKEN_ALGORITHMS: 'EdDSA,RS256' },
    ];
    for (const env of wrong) assert.throws(parse(env), hasReason('CONFIG_INVALID'));
    assert.equal(
      parse({ LETHE_TOKEN_JWKS_URL: 'https://issuer.example/jwks' })().keys.kind,
      'jwks-url',
    );
  });
});
