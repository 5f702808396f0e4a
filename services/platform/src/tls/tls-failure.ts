/**
 * How Node and OpenSSL code a connection whose TLS does not come about: the certificate of the other side is not taken, or
 * the two do not understand each other (https://nodejs.org/api/tls.html#x509-certificate-error-codes).
 */
const tlsCode =
  /^(ERR_TLS_|ERR_SSL_|EPROTO$|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_|CRL_|INVALID_CA|INVALID_PURPOSE|HOSTNAME_MISMATCH)/;

/** The code of such an error, undefined of any other. */
export function tlsFailureOf(error: unknown): string | undefined {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  return typeof code === 'string' && tlsCode.test(code) ? code : undefined;
}
