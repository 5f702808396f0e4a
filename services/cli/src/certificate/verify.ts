import {
  compactVerify,
  decodeProtectedHeader,
  exportJWK,
  importSPKI,
  calculateJwkThumbprint,
  type CryptoKey,
} from 'jose';
import { CliError } from '../failures/cli-error.ts';
import { exitCodes } from '../exit-codes.ts';

/** One thing that must hold, and whether it does. */
export interface CertificateCheck {
  readonly name: string;
  readonly holds: boolean;
  /** Why not; a rule, never a value. */
  readonly problem: string | undefined;
}

export interface CertificateVerdict {
  readonly isValid: boolean;
  /** In the order in which they were made; none is made after one that does not hold. */
  readonly checks: readonly CertificateCheck[];
  /** What the certificate says; only when the signature holds, as before that it may be anybody's words. */
  readonly contents: Readonly<Record<string, unknown>> | undefined;
}

const holds = (name: string): CertificateCheck => ({ name, holds: true, problem: undefined });
const fails = (name: string, problem: string): CertificateCheck => ({
  name,
  holds: false,
  problem,
});

/**
 * Checks a certificate offline: nothing is fetched, and the key is the one given, never one that the certificate
 * brings along.
 */
export async function verifyCertificate(
  jws: string,
  publicKeyPem: string,
): Promise<CertificateVerdict> {
  const pinned = await importPinnedKey(publicKeyPem);
  const checks: CertificateCheck[] = [];
  const verdict = (contents?: Readonly<Record<string, unknown>>): CertificateVerdict => ({
    isValid: checks.every((check) => check.holds),
    checks,
    contents,
  });
  const header = headerOf(jws.trim());
  if (header === undefined) {
    checks.push(fails('form', 'it is no compact JWS (three base64url parts joined by dots)'));
    return verdict();
  }
  checks.push(holds('form'), algorithmCheck(header.alg), await keyCheck(header.kid, pinned));
  if (!verdict().isValid) return verdict();
  const payload = await verifiedPayload(jws.trim(), pinned);
  if (payload === undefined) {
    checks.push(fails('signature', 'the contents were changed, or another key signed them'));
    return verdict();
  }
  checks.push(holds('signature'));
  const contents = contentsOf(payload);
  if (contents === undefined) {
    checks.push(fails('contents', 'the signed bytes are no JSON object'));
    return verdict();
  }
  checks.push(holds('contents'));
  return verdict(contents);
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

function headerOf(
  jws: string,
): { readonly alg: string | undefined; readonly kid: string | undefined } | undefined {
  if (jws.split('.').length !== 3) return undefined;
  try {
    const { alg, kid } = decodeProtectedHeader(jws);
    return { alg, kid };
  } catch {
    return undefined;
  }
}

function algorithmCheck(alg: string | undefined): CertificateCheck {
  const isEdDsa = alg === 'EdDSA' || alg === 'Ed25519';
  return isEdDsa ? holds('algorithm') : fails('algorithm', 'it is not signed with EdDSA (Ed25519)');
}

/** A named key must be the pinned one (RFC 7638 thumbprint); an unnamed one is left to the signature. */
async function keyCheck(kid: string | undefined, pinned: CryptoKey): Promise<CertificateCheck> {
  const thumbprint = await calculateJwkThumbprint(await exportJWK(pinned));
  const isPinned = kid === undefined || kid === thumbprint;
  return isPinned ? holds('key') : fails('key', 'it names another signing key than the given one');
}

async function verifiedPayload(jws: string, pinned: CryptoKey): Promise<Uint8Array | undefined> {
  try {
    const { payload } = await compactVerify(jws, pinned, { algorithms: ['EdDSA', 'Ed25519'] });
    return payload;
  } catch {
    return undefined;
  }
}

function contentsOf(payload: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(payload).toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? { ...value }
      : undefined;
  } catch {
    return undefined;
  }
}
