import {
  calculateJwkThumbprint,
  CompactSign,
  type CryptoKey,
  exportJWK,
  exportSPKI,
  generateKeyPair,
} from 'jose';

/** What a genuine certificate says. */
export const certificateContents = {
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

/** A signing key of a test's own. */
export interface CertificateSigner {
  readonly pem: string;
  sign(payload: object, header?: object): Promise<string>;
}

export async function createCertificateSigner(): Promise<CertificateSigner> {
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
