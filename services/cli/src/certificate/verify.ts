import {
  calculateJwkThumbprint,
  compactVerify,
  decodeProtectedHeader,
  exportJWK,
  importSPKI,
  type CryptoKey,
} from 'jose';
import { CliError } from '../failures/cli-error.ts';
import { exitCodes } from '../exit-codes.ts';
import { contradictionsOf, parseCertificate, type Certificate } from './contents.ts';

/** One thing that must hold, and whether it does. */
export interface CertificateCheck {
  readonly name: string;
  readonly holds: boolean;
  /** Why not; a rule, never a value. */
  readonly problem: string | undefined;
}

export interface CertificateVerdict {
  readonly isValid: boolean;
  /** In the order in which they were made; what cannot be judged after a failed one is left out. */
  readonly checks: readonly CertificateCheck[];
  /** What the certificate says; only when the signature holds, as before that it may be anybody's words. */
  readonly certificate: Certificate | undefined;
}

/**
 * Checks a certificate offline: nothing is fetched, and the key is the one given, never one that the certificate
 * brings along.
 */
export async function verifyCertificate(
  text: string,
  publicKeyPem: string,
): Promise<CertificateVerdict> {
  const jws = text.trim();
  const pinned = await importPinnedKey(publicKeyPem);
  const headerChecks = await checkHeader(jws, pinned);
  if (headerChecks.some(({ holds }) => !holds)) return verdictOf(headerChecks);
  const payload = await verifiedPayload(jws, pinned);
  if (payload === undefined) {
    return verdictOf([
      ...headerChecks,
      check('signature', 'the contents were changed, or another key signed them'),
    ]);
  }
  const signed = [...headerChecks, check('signature', undefined)];
  const parsed = parseCertificate(payload);
  if ('problem' in parsed) return verdictOf([...signed, check('contents', parsed.problem)]);
  const { clocks, receipts } = contradictionsOf(parsed.certificate);
  const inner = [
    check('contents', undefined),
    check('clocks', clocks),
    check('receipts', receipts),
  ];
  return verdictOf([...signed, ...inner], parsed.certificate);
}

function check(name: string, problem: string | undefined): CertificateCheck {
  return { name, holds: problem === undefined, problem };
}

function verdictOf(
  checks: readonly CertificateCheck[],
  certificate?: Certificate,
): CertificateVerdict {
  return { isValid: checks.every(({ holds }) => holds), checks, certificate };
}

async function importPinnedKey(pem: string): Promise<CryptoKey> {
  try {
    return await importSPKI(pem.trim(), 'EdDSA', { extractable: true });
  } catch (error) {
    throw new CliError(
      exitCodes.usage,
      'The public key is no Ed25519 key in PEM form (SubjectPublicKeyInfo).',
      {
        next: 'Take DATA/certificate-key.pem, or the key that you pinned when you first trusted the platform.',
        cause: error,
      },
    );
  }
}

async function checkHeader(jws: string, pinned: CryptoKey): Promise<readonly CertificateCheck[]> {
  const header = headerOf(jws);
  if (header === undefined) {
    return [check('form', 'it is no compact JWS (three base64url parts joined by dots)')];
  }
  const isEdDsa = header.alg === 'EdDSA' || header.alg === 'Ed25519';
  const isCertificate = header.typ === 'lethe-erasure-certificate';
  const thumbprint = await calculateJwkThumbprint(await exportJWK(pinned));
  return [
    check('form', undefined),
    check('type', isCertificate ? undefined : 'its header says that it is something else'),
    check('algorithm', isEdDsa ? undefined : 'it is not signed with EdDSA (Ed25519)'),
    check(
      'key',
      header.kid === thumbprint ? undefined : 'it names another signing key than the given one',
    ),
  ];
}

function headerOf(jws: string) {
  const parts = jws.split('.');
  // A last character may carry bits that decoders drop: without this, another text would pass for the same certificate.
  const isCanonical = parts.every(
    (part) => Buffer.from(part, 'base64url').toString('base64url') === part,
  );
  if (parts.length !== 3 || !isCanonical) return undefined;
  try {
    return decodeProtectedHeader(jws);
  } catch {
    return undefined;
  }
}

async function verifiedPayload(jws: string, pinned: CryptoKey): Promise<Uint8Array | undefined> {
  try {
    const { payload } = await compactVerify(jws, pinned, { algorithms: ['EdDSA', 'Ed25519'] });
    return payload;
  } catch {
    return undefined;
  }
}
