import type { SecureServerOptions } from 'node:http2';
import type { SecureContextOptions } from 'node:tls';
import { ServerCredentials } from '@grpc/grpc-js';
import type { TlsMaterial } from '../tls/tls-material.ts';
import type { TlsSource } from '../tls/tls-source.ts';

/** 1.3 is taken wherever the other side speaks it. */
const tlsFloor = 'TLSv1.2';

/**
 * TLS for a port, from files that may be replaced: new connections get the new ones, those that stand are left alone.
 * The library's own way from files drops the certificate when a new file is wrong, and knows no floor.
 *
 * With `asksForCertificate` a caller that shows none, or one that does not verify, is not cut off in the handshake, which
 * would tell it nothing: its calls are refused by name before anything of them is decoded (caller-certificate.ts).
 */
export class ReloadingServerCredentials extends ServerCredentials {
  readonly #endOfWatch: () => void;

  constructor(source: TlsSource, asksForCertificate: boolean) {
    const handshake: SecureServerOptions = {
      requestCert: asksForCertificate,
      rejectUnauthorized: false,
    };
    super(handshake, contextOf(source.current()));
    this.#endOfWatch = source.onChange((material) => {
      this.updateSecureContextOptions(contextOf(material));
    });
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }

  /** New files are no longer taken up. */
  close(): void {
    this.#endOfWatch();
  }
}

function contextOf({ certificate, privateKey, authority }: TlsMaterial): SecureContextOptions {
  return {
    cert: certificate,
    key: privateKey,
    minVersion: tlsFloor,
    ...(authority === undefined ? {} : { ca: authority }),
  };
}
