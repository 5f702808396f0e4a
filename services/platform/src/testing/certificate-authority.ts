import { generateKeyPairSync, randomBytes } from 'node:crypto';
import forge from 'node-forge';

/** What a certificate is to say; without names it says nothing of whom it is for. */
export interface CertificateWish {
  readonly uris?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly ips?: readonly string[];
  /** Milliseconds since 1970 UTC. Default: from an hour ago to a day ahead. */
  readonly validFromMs?: number;
  readonly validToMs?: number;
}

/** PEM. */
export interface IssuedCertificate {
  readonly certificate: string;
  readonly privateKey: string;
}

/** An authority of a test or of a local set-up: made anew each time, trusted by nobody else. */
export interface CertificateAuthority {
  /** Its own certificate, PEM. */
  readonly certificate: string;
  issue(wish: CertificateWish): IssuedCertificate;
}

const hourMs = 3_600_000;
/** X.509's numbers of the kinds of alternative names. */
const altNames = { dns: 2, uri: 6, ip: 7 } as const;

export function createCertificateAuthority(name = 'Lethe test authority'): CertificateAuthority {
  const subject = [{ name: 'commonName', value: name }];
  const own = pair();
  const certificate = blank({}, own.publicKey);
  certificate.setSubject(subject);
  certificate.setIssuer(subject);
  certificate.setExtensions([
    { name: 'basicConstraints', cA: true, critical: true },
    { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    { name: 'subjectKeyIdentifier' },
  ]);
  certificate.sign(own.privateKey, forge.md.sha256.create());
  return {
    certificate: forge.pki.certificateToPem(certificate),
    issue: (wish) => {
      const leaf = pair();
      const issued = blank(wish, leaf.publicKey);
      issued.setSubject([{ name: 'commonName', value: 'leaf' }]);
      issued.setIssuer(subject);
      issued.setExtensions([
        { name: 'basicConstraints', cA: false },
        { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, critical: true },
        { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
        { name: 'subjectKeyIdentifier' },
        ...namesOf(wish),
      ]);
      issued.sign(own.privateKey, forge.md.sha256.create());
      return { certificate: forge.pki.certificateToPem(issued), privateKey: leaf.pem };
    },
  };
}

function namesOf({ uris = [], dnsNames = [], ips = [] }: CertificateWish) {
  const names = [
    ...uris.map((value) => ({ type: altNames.uri, value })),
    ...dnsNames.map((value) => ({ type: altNames.dns, value })),
    ...ips.map((ip) => ({ type: altNames.ip, ip })),
  ];
  return names.length === 0 ? [] : [{ name: 'subjectAltName', altNames: names }];
}

function blank(wish: CertificateWish, publicKey: forge.pki.PublicKey): forge.pki.Certificate {
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = publicKey;
  // Positive: the highest bit is off.
  certificate.serialNumber = `01${randomBytes(15).toString('hex')}`;
  certificate.validity.notBefore = new Date(wish.validFromMs ?? Date.now() - hourMs);
  certificate.validity.notAfter = new Date(wish.validToMs ?? Date.now() + 24 * hourMs);
  return certificate;
}

/** Made by Node, as the library's own takes seconds; an elliptic curve is what it cannot sign for. */
function pair() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const ours = forge.pki.privateKeyFromPem(pem);
  return { pem, privateKey: ours, publicKey: forge.pki.setRsaPublicKey(ours.n, ours.e) };
}
