import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  calculateJwkThumbprint,
  CompactSign,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  type CryptoKey,
} from 'jose';
import { runCaptured } from '../testing/captured.ts';
import { verifyCertificate } from './verify.ts';

const contents = {
  type: 'lethe-erasure-certificate',
  version: 1,
  erasureId: '0198c1de-5f00-7abc-8def-0123456789ab',
  tenantId: 'acme-support',
  ground: 'consent-withdrawn',
  issuedAt: '2024-07-20T08:26:42.500Z',
  requestedAt: '2024-07-20T08:26:40.000Z',
  fencedAt: '2024-07-20T08:26:40.100Z',
  persons: ['b0'.repeat(16)],
  scopes: { persons: 1, tickets: 2, sha256: 'c'.repeat(64) },
  keysDestroyed: 4,
  clocks: {
    unreadable: { at: '2024-07-20T08:26:40.900Z', boundMs: 60_000 },
    purged: { at: '2024-07-20T08:26:42.000Z' },
    physicallyGone: { by: '2024-08-20T08:26:42.000Z', compactionBoundMs: 1, backupHorizonMs: 2 },
  },
  receipts: [
    {
      service: 'keys',
      recordsTombstoned: 0,
      rowsDeleted: 3,
      boxesUnreadable: 0,
      ledgerComplete: true,
      finishedAt: '2024-07-20T08:26:41.000Z',
    },
    {
      service: 'tickets',
      recordsTombstoned: 7,
      rowsDeleted: 3,
      boxesUnreadable: 1,
      ledgerComplete: true,
      finishedAt: '2024-07-20T08:26:42.000Z',
    },
  ],
  boxesMerelyUnreadable: 1,
  caveats: [
    { code: 'already-received', text: 'Plaintext that somebody received before is out of reach.' },
  ],
};

interface Signer {
  readonly pem: string;
  sign(payload: object, header?: object): Promise<string>;
}

async function createSigner(): Promise<Signer> {
  const { publicKey, privateKey } = await generateKeyPair('EdDSA', { extractable: true });
  const kid = await calculateJwkThumbprint(await exportJWK(publicKey));
  return {
    pem: await exportSPKI(publicKey),
    sign: async (payload, header) => await signWith(privateKey, kid, payload, header),
  };
}

async function signWith(
  privateKey: CryptoKey,
  kid: string,
  payload: object,
  header: object = {},
): Promise<string> {
  return await new CompactSign(Buffer.from(JSON.stringify(payload)))
    .setProtectedHeader({ alg: 'EdDSA', kid, typ: 'lethe-erasure-certificate', ...header })
    .sign(privateKey);
}

describe('verifying a certificate', () => {
  let signer: Signer;
  let jws = '';
  before(async () => {
    signer = await createSigner();
    jws = await signer.sign(contents);
  });

  const failing = async (text: string, pem = signer.pem) => {
    const { isValid, checks, certificate } = await verifyCertificate(text, pem);
    assert.equal(isValid, false);
    const signature = checks.find(({ name }) => name === 'signature');
    if (signature?.holds !== true)
      assert.equal(certificate, undefined, 'unsigned words were passed on');
    return checks.filter(({ holds }) => !holds).map(({ name }) => name);
  };

  it('accepts the genuine one and says what it says', async () => {
    const { isValid, certificate } = await verifyCertificate(`${jws}\n`, signer.pem);
    assert.equal(isValid, true);
    assert.equal(certificate?.erasureId, contents.erasureId);
  });

  it('refuses any changed character', async () => {
    for (let place = 0; place < jws.length; place += 17) {
      const other = jws[place] === 'A' ? 'B' : 'A';
      const changed = jws.slice(0, place) + other + jws.slice(place + 1);
      const { isValid } = await verifyCertificate(changed, signer.pem);
      assert.equal(isValid, false, `character ${place}`);
    }
  });

  it('refuses the key of somebody else, even if the certificate names ours', async () => {
    const other = await createSigner();
    assert.deepEqual(await failing(jws, other.pem), ['key']);
    const kid = JSON.parse(Buffer.from(jws.split('.')[0] ?? '', 'base64url').toString()) as {
      kid: string;
    };
    assert.deepEqual(await failing(await other.sign(contents, { kid: kid.kid })), ['signature']);
  });

  it('refuses another algorithm, another type and no JWS at all', async () => {
    const [, payload = '', signature = ''] = jws.split('.');
    const header = (fields: object) => Buffer.from(JSON.stringify(fields)).toString('base64url');
    assert.ok((await failing(`${header({ alg: 'none' })}.${payload}.`)).includes('algorithm'));
    assert.ok(
      (await failing(`${header({ alg: 'HS256' })}.${payload}.${signature}`)).includes('algorithm'),
    );
    assert.deepEqual(await failing(await signer.sign(contents, { typ: 'JWT' })), ['type']);
    assert.deepEqual(await failing('hello'), ['form']);
  });

  it('refuses signed contents that contradict themselves', async () => {
    const { clocks } = contents;
    const late = {
      ...clocks,
      unreadable: { ...clocks.unreadable, at: '2024-07-20T08:28:40.900Z' },
    };
    assert.deepEqual(await failing(await signer.sign({ ...contents, clocks: late })), ['clocks']);
    const early = { ...clocks, purged: { at: '2023-07-20T08:26:42.000Z' } };
    assert.deepEqual(await failing(await signer.sign({ ...contents, clocks: early })), ['clocks']);
    assert.deepEqual(
      await failing(await signer.sign({ ...contents, receipts: [], boxesMerelyUnreadable: 0 })),
      ['receipts'],
    );
    assert.deepEqual(await failing(await signer.sign({ ...contents, boxesMerelyUnreadable: 0 })), [
      'receipts',
    ]);
    assert.deepEqual(await failing(await signer.sign({ ...contents, version: 2 })), ['contents']);
  });

  it('tells by the exit code, and shows the contents only of what is signed', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'lethe-certificate-'));
    const files = { jws: path.join(folder, 'a.jws'), pem: path.join(folder, 'a.pem') };
    await writeFile(files.pem, signer.pem);
    await writeFile(files.jws, jws);
    const command = ['certificate', 'verify', files.jws, '--public-key', files.pem];
    const good = await runCaptured(command);
    assert.equal(good.exitCode, 0);
    assert.match(
      good.out,
      /The certificate holds\.\n {2}✔ form, type, algorithm, key, signature, contents, clocks, receipts/,
    );
    assert.match(good.out, /unreadable +after 900 ms/);
    await writeFile(files.jws, jws.replace(/\.[^.]{5}/, '.AAAAA'));
    const bad = await runCaptured(command);
    assert.equal(bad.exitCode, 1);
    assert.match(bad.out, /does not hold/);
    assert.doesNotMatch(bad.out, /acme-support/);
    const json = await runCaptured([...command, '--json']);
    assert.equal((JSON.parse(json.out) as { valid: boolean }).valid, false);
    await writeFile(files.pem, 'no key');
    assert.equal((await runCaptured(command)).exitCode, 2);
    await rm(folder, { recursive: true });
  });
});
