import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { runCaptured } from '../testing/captured.ts';
import {
  certificateContents as contents,
  type CertificateSigner,
  createCertificateSigner,
} from '../testing/signed-certificate.ts';
import { verifyCertificate } from './verify.ts';

describe('verifying a certificate', () => {
  let signer: CertificateSigner;
  let jws = '';
  before(async () => {
    signer = await createCertificateSigner();
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

  it('accepts a caveat that is signed no more', async () => {
    const caveats = [{ code: 'released-aggregates', text: 'They are not recomputed.' }];
    const former = await signer.sign({ ...contents, caveats });
    const { isValid, certificate } = await verifyCertificate(former, signer.pem);
    assert.equal(isValid, true);
    assert.deepEqual(certificate?.caveats, caveats);
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
    const other = await createCertificateSigner();
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
