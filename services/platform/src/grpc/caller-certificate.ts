import { X509Certificate } from 'node:crypto';
import { ServiceError } from '../errors/service-error.ts';
import { serviceOf } from '../tls/service-identity.ts';
import type { Caller } from './handler.ts';

/** What the transport verified of the other side: nothing of a certificate that is not of our authority. */
export interface VerifiedPeer {
  readonly sslPeerCertificate?: { readonly raw: Buffer } | undefined;
}

/**
 * Who calls, by the certificate of the connection. It was verified in the handshake; a connection may outlive it, so
 * its end is looked at on each call. Throws CERTIFICATE_REQUIRED, CERTIFICATE_NAMES_NO_SERVICE.
 */
export function callerOfCertificate(peer: VerifiedPeer, nowMs: number): Caller {
  const raw = peer.sslPeerCertificate?.raw;
  if (raw === undefined) throw new ServiceError('CERTIFICATE_REQUIRED');
  const certificate = new X509Certificate(raw);
  if (certificate.validToDate.getTime() <= nowMs) {
    throw new ServiceError(
      'CERTIFICATE_REQUIRED',
      'The certificate of this connection has expired.',
    );
  }
  const service = serviceOf(certificate);
  if (service === undefined) throw new ServiceError('CERTIFICATE_NAMES_NO_SERVICE');
  return { kind: 'service', service };
}
