import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export interface KafkaCertificate {
  /** What a broker's PEM keystore holds. */
  readonly storeFile: string;
  /** Of the authority, PEM. */
  readonly authority: string;
}

/**
 * A broker's certificate on an elliptic curve, of an authority of its own: a handshake is ten times cheaper than with RSA
 * in a JVM without its second compiler, and six services open about a hundred connections at once.
 */
export function makeKafkaCertificate(folder: string, host: string): KafkaCertificate {
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const authority = ['-x509', ...newKey, '-days', '2', '-subj', '/CN=Kafka authority'];
  openssl('req', ...authority, '-keyout', 'kafka-ca.key', '-out', 'kafka-ca.pem');
  const request = [...newKey, '-subj', `/CN=${host}`];
  openssl('req', ...request, '-keyout', 'kafka.key', '-out', 'kafka.csr');
  writeFileSync(path.join(folder, 'kafka.names'), `subjectAltName=IP:${host},IP:127.0.0.1\n`);
  const signing = [
    '-CA',
    'kafka-ca.pem',
    '-CAkey',
    'kafka-ca.key',
    '-CAcreateserial',
    '-days',
    '2',
  ];
  const names = ['-extfile', 'kafka.names', '-out', 'kafka.crt'];
  openssl('x509', '-req', '-in', 'kafka.csr', ...signing, ...names);
  const read = (file: string) => readFileSync(path.join(folder, file), 'utf8');
  const storeFile = path.join(folder, 'kafka.pem');
  writeFileSync(storeFile, ['kafka.key', 'kafka.crt', 'kafka-ca.pem'].map(read).join(''));
  return { storeFile, authority: read('kafka-ca.pem') };
}
