/** The part of the catalogue (reasons.ts) that is about calls between services, and to the issuer of tokens. */
export const callReasons = {
  CERTIFICATE_REQUIRED: {
    code: 'UNAUTHENTICATED',
    meaning:
      "The connection carries no certificate of the platform's authority that is valid now, and this port is for services alone.",
    next: 'Give the caller a certificate of that authority; see docs/operators/tls.md.',
  },
  CERTIFICATE_NAMES_NO_SERVICE: {
    code: 'UNAUTHENTICATED',
    meaning:
      "The caller's certificate does not name one service as spiffe://lethe/<service> among its alternative names.",
    next: 'Issue it again with that URI; see docs/operators/tls.md.',
  },
  CERTIFICATE_REFUSED: {
    code: 'UNAVAILABLE',
    meaning:
      'One of two services does not take the certificate of the other: another authority, another service, or out of its dates.',
    next: 'Replace the certificate that the message names; it is read again by itself, and callers retry.',
  },
  SERVICE_UNAVAILABLE: {
    code: 'UNAVAILABLE',
    meaning: 'Another service of the platform cannot be reached.',
    next: 'Retry later; callers within the platform do so by themselves.',
  },
  CALL_TIMED_OUT: {
    code: 'DEADLINE_EXCEEDED',
    meaning: 'Another service of the platform did not answer in time.',
    next: 'Retry later; callers within the platform do so by themselves.',
  },
  ISSUER_UNAVAILABLE: {
    code: 'UNAVAILABLE',
    meaning:
      "The public keys of the tokens' issuer cannot be fetched, so no token can be verified.",
    next: 'Retry later; operators check LETHE_TOKEN_JWKS_URL.',
  },
} as const;
