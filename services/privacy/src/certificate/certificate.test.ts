import assert from 'node:assert/strict';
import { createHash, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ErasureGround } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import type { ErasureId, TenantId, Token } from '@lethe/platform/ids/ids.ts';
import canonicalize from 'canonicalize';
import {
  calculateJwkThumbprint,
  compactVerify,
  errors,
  exportJWK,
  generateKeyPair,
  importSPKI,
} from 'jose';
import type { Erasure, Receipt } from '../domain/erasure.ts';
import { buildCertificate, scopesDigest } from './build-certificate.ts';
import { createCertificateSigner } from './signer.ts';

const person = 'b0'.repeat(16) as Token;
const ticket = 'a0'.repeat(16) as Token;
const receipt: Receipt = {
  service: 'tickets',
  recordsTombstoned: 7,
  rowsDeleted: 3,
  boxesUnreadable: 0,
  ledgerComplete: true,
  finishedAtMs: 1_753_000_002_000,
};
const erasure: Erasure = {
  tenantId: 'acme' as TenantId,
  erasureId: '0198c1de-5f00-7abc-8def-0123456789ab' as ErasureId,
  ground: ErasureGround.ERASURE_GROUND_CONSENT_WITHDRAWN,
  personTokens: [person],
  requestedAtMs: 1_753_000_000_000,
  fence: {
    scopes: [
      { kind: 'person', token: person, incarnation: 2, cutOffMs: 1_753_000_000_000 },
      { kind: 'ticket', token: ticket, incarnation: 1, cutOffMs: 1_753_000_000_000 },
    ],
    keysDestroyed: 4,
    fencedAtMs: 1_753_000_000_100,
    obliged: ['tickets', 'keys'],
  },
  unreadableAtMs: 1_753_000_000_900,
  receipts: [receipt, { ...receipt, service: 'keys', recordsTombstoned: 0 }],
  completion: undefined,
};
const clocks = { purgedAtMs: 1_753_000_002_000, physicallyGoneByMs: 1_753_000_003_000 };
const horizons = { compactionBoundMs: 400, backupHorizonMs: 600 };
const issuedAtMs = 1_753_000_002_500;
const build = (changed: Erasure = erasure) =>
  buildCertificate(changed, clocks, horizons, issuedAtMs);

const lines = `person/${person}@2\nticket/${ticket}@1`;

describe('the certificate', () => {
  it('says what was erased, when, by whom, and how it is bounded', () => {
    const { caveats, ...rest } = build();
    assert.deepEqual(rest, {
      type: 'lethe-erasure-certificate',
      version: 1,
      erasureId: erasure.erasureId,
      tenantId: 'acme',
      ground: 'consent-withdrawn',
      issuedAt: '2025-07-20T08:26:42.500Z',
      requestedAt: '2025-07-20T08:26:40.000Z',
      fencedAt: '2025-07-20T08:26:40.100Z',
      persons: [person],
      scopes: {
        persons: 1,
        tickets: 1,
        sha256: createHash('sha256').update(lines).digest('hex'),
      },
      keysDestroyed: 4,
      clocks: {
        unreadable: { at: '2025-07-20T08:26:40.900Z', boundMs: 60_000 },
        purged: { at: '2025-07-20T08:26:42.000Z' },
        physicallyGone: { by: '2025-07-20T08:26:43.000Z', ...horizons },
      },
      receipts: [
        {
          service: 'keys',
          recordsTombstoned: 0,
          rowsDeleted: 3,
          boxesUnreadable: 0,
          ledgerComplete: true,
          finishedAt: '2025-07-20T08:26:42.000Z',
        },
        {
          service: 'tickets',
          recordsTombstoned: 7,
          rowsDeleted: 3,
          boxesUnreadable: 0,
          ledgerComplete: true,
          finishedAt: '2025-07-20T08:26:42.000Z',
        },
      ],
      boxesMerelyUnreadable: 0,
    });
    const codes = caveats.map(({ code }) => code);
    assert.deepEqual(codes, ['already-received', 'text-in-tickets-of-others']);
  });

  it('admits what merely became unreadable and what the ledger may lack', () => {
    const other: Receipt = { ...receipt, boxesUnreadable: 5, ledgerComplete: false };
    const built = build({ ...erasure, receipts: [other, { ...other, service: 'keys' }] });
    assert.equal(built.boxesMerelyUnreadable, 10);
    const codes = built.caveats.map(({ code }) => code);
    assert.ok(codes.includes('boxes-merely-unreadable') && codes.includes('ledger-may-lack'));
  });

  it('has every field and caveat explained in its page', () => {
    const page = readFileSync(new URL('../../../../docs/certificate.md', import.meta.url), 'utf8');
    const worst = build({
      ...erasure,
      receipts: [{ ...receipt, boxesUnreadable: 1, ledgerComplete: false }],
    });
    const names = [
      ...Object.keys(worst),
      ...Object.keys(worst.scopes),
      ...Object.keys(worst.clocks),
      ...Object.keys(worst.clocks.physicallyGone),
      ...worst.receipts.flatMap((entry) => Object.keys(entry)),
      ...worst.caveats.map(({ code }) => code),
    ];
    for (const name of names) assert.ok(page.includes(`\`${name}\``), name);
  });

  it('digests the scopes whatever order they come in, and every part of each', () => {
    const scopes = erasure.fence?.scopes ?? [];
    assert.equal(scopesDigest(scopes), scopesDigest(scopes.toReversed()));
    const others = [
      scopes.slice(1),
      scopes.map((scope) => ({ ...scope, incarnation: 3 })),
      scopes.map((scope) => ({ ...scope, kind: 'ticket' as const })),
      scopes.map((scope) => ({ ...scope, token: person })),
    ];
    const digests = new Set([scopes, ...others].map(scopesDigest));
    assert.equal(digests.size, 5);
  });

  it('is refused before the fence and the unreadable clock', () => {
    assert.throws(() => build({ ...erasure, fence: undefined }), RangeError);
    assert.throws(() => build({ ...erasure, unreadableAtMs: undefined }), RangeError);
  });
});

describe('the signature', () => {
  it('verifies with nothing but the public key, and fails for any other payload or key', async () => {
    const pair = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
    const jwk = await exportJWK(pair.privateKey);
    const signer = createCertificateSigner(jwk);
    const jws = await signer.sign(build());
    const key = await importSPKI(signer.publicKeyPem, 'EdDSA');
    const { payload, protectedHeader } = await compactVerify(jws, key);
    assert.deepEqual(JSON.parse(Buffer.from(payload).toString()), build());
    assert.equal(Buffer.from(payload).toString(), canonicalize(build()));
    const publicJwk = await exportJWK(createPublicKey(signer.publicKeyPem));
    assert.deepEqual(protectedHeader, {
      alg: 'EdDSA',
      kid: await calculateJwkThumbprint(publicJwk),
      typ: 'lethe-erasure-certificate',
    });
    assert.equal(signer.keyId, protectedHeader.kid);
    const [head, body, signature] = jws.split('.');
    const forged = Buffer.from(JSON.stringify({ ...build(), keysDestroyed: 5 }));
    const forgery = [head, forged.toString('base64url'), signature].join('.');
    const failed = errors.JWSSignatureVerificationFailed;
    await assert.rejects(compactVerify(forgery, key), failed);
    const other = await generateKeyPair('EdDSA', { crv: 'Ed25519' });
    await assert.rejects(compactVerify([head, body, signature].join('.'), other.publicKey), failed);
  });

  it('needs an Ed25519 private key', () => {
    assert.throws(() => createCertificateSigner({ kty: 'OKP', crv: 'Ed25519', x: 'AA' }), {
      reason: 'CONFIG_INVALID',
    });
  });
});
