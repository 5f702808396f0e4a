import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { ServiceName } from '@lethe/proto/access.ts';
import { type FieldViolation, ServiceError } from '../errors/service-error.ts';
import { identityOf, serviceOf } from './service-identity.ts';

/** PEM files, by path. */
export interface TlsFiles {
  /** The certificate, then those between it and the authority. */
  readonly certificateFile: string;
  readonly privateKeyFile: string;
  /** Whom to trust: the platform's own authority, or old and new while it changes. Absent where nobody is asked. */
  readonly authorityFile?: string;
}

/** What the files held, checked. */
export interface TlsMaterial {
  readonly certificate: Buffer;
  readonly privateKey: Buffer;
  readonly authority: Buffer | undefined;
  /** When the certificate ends, milliseconds since 1970 UTC. */
  readonly expiresMs: number;
}

export interface TlsRules {
  /** The service that the certificate must name. */
  readonly identity?: ServiceName;
  readonly nowMs: number;
}

/** Reads and checks the files. Throws CONFIG_INVALID with a violation per file: its path and the rule. */
export function readTlsMaterial(files: TlsFiles, rules: TlsRules): TlsMaterial {
  const violations: FieldViolation[] = [];
  const attempt = <T>(field: string, description: string, work: () => T): T | undefined => {
    try {
      return work();
    } catch {
      // What the libraries say of a file may quote it.
      violations.push({ field, description });
      return undefined;
    }
  };
  const read = (file: string) => attempt(file, 'cannot be read', () => readFileSync(file));
  const certificate = read(files.certificateFile);
  const privateKey = read(files.privateKeyFile);
  const authority = files.authorityFile === undefined ? undefined : read(files.authorityFile);
  const chain =
    certificate &&
    attempt(files.certificateFile, 'holds no certificate in PEM', () => parseChain(certificate));
  const ownKey =
    privateKey &&
    attempt(files.privateKeyFile, 'holds no private key in PEM', () =>
      createPrivateKey(privateKey),
    );
  const trusted =
    authority &&
    attempt(files.authorityFile ?? '', 'holds no certificate in PEM', () => parseChain(authority));
  const leaf = chain?.[0];
  if (leaf !== undefined) {
    const broken = brokenRules(leaf, rules);
    violations.push(...broken.map((rule) => ({ field: files.certificateFile, description: rule })));
    if (ownKey !== undefined && !leaf.checkPrivateKey(ownKey)) {
      violations.push({
        field: files.privateKeyFile,
        description: 'is not the key of the certificate',
      });
    }
    if (trusted !== undefined && chain !== undefined && !isIssuedBy(chain, trusted)) {
      violations.push({
        field: files.certificateFile,
        description: 'is not of the given authority',
      });
    }
  }
  const isWhole = certificate !== undefined && privateKey !== undefined && leaf !== undefined;
  if (isWhole && violations.length === 0) {
    attempt(files.certificateFile, 'is not taken by OpenSSL', () =>
      createSecureContext({ cert: certificate, key: privateKey, ca: authority }),
    );
  }
  if (!isWhole || violations.length > 0) throw refused(violations);
  return { certificate, privateKey, authority, expiresMs: leaf.validToDate.getTime() };
}

const pemBlock = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

function parseChain(pem: Buffer): X509Certificate[] {
  const blocks = pem.toString('latin1').match(pemBlock) ?? [];
  if (blocks.length === 0) throw new RangeError('no certificate');
  return blocks.map((block) => new X509Certificate(block));
}

function brokenRules(leaf: X509Certificate, { identity, nowMs }: TlsRules): readonly string[] {
  const rules: readonly (readonly [boolean, string])[] = [
    [leaf.validToDate.getTime() <= nowMs, `has expired: it was valid to ${leaf.validTo}`],
    [leaf.validFromDate.getTime() > nowMs, `is not valid yet: it is from ${leaf.validFrom}`],
    [
      identity !== undefined && serviceOf(leaf) !== identity,
      `must have the one URI ${identity === undefined ? '' : identityOf(identity)} in its subject alternative names`,
    ],
  ];
  return rules.flatMap(([broken, rule]) => (broken ? [rule] : []));
}

/** Whether the chain ends at one of the authorities. OpenSSL verifies it all at each handshake; this finds mix-ups. */
function isIssuedBy(
  chain: readonly X509Certificate[],
  trusted: readonly X509Certificate[],
): boolean {
  const last = chain.at(-1);
  if (last === undefined) return false;
  return trusted.some(
    (one) =>
      one.fingerprint256 === last.fingerprint256 ||
      (last.checkIssued(one) && last.verify(one.publicKey)),
  );
}

function refused(violations: readonly FieldViolation[]): ServiceError {
  const list = violations.map(({ field, description }) => `${field} ${description}`).join('; ');
  return new ServiceError('CONFIG_INVALID', `TLS: ${list}`, { violations });
}
