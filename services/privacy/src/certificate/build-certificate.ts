import { createHash } from 'node:crypto';
import { ErasureGround } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import type { Erasure, FencedScope, Horizons } from '../domain/erasure.ts';

/** What GDPR article 17(1) calls the ground; stable names. */
const groundNames: Readonly<Partial<Record<ErasureGround, string>>> = {
  [ErasureGround.ERASURE_GROUND_NOT_NEEDED]: 'not-needed',
  [ErasureGround.ERASURE_GROUND_CONSENT_WITHDRAWN]: 'consent-withdrawn',
  [ErasureGround.ERASURE_GROUND_OBJECTION]: 'objection',
  [ErasureGround.ERASURE_GROUND_UNLAWFUL]: 'unlawful',
  [ErasureGround.ERASURE_GROUND_LEGAL_OBLIGATION]: 'legal-obligation',
  [ErasureGround.ERASURE_GROUND_CHILD]: 'child',
  [ErasureGround.ERASURE_GROUND_CONTROLLER]: 'controller',
  [ErasureGround.ERASURE_GROUND_RETENTION]: 'retention',
  [ErasureGround.ERASURE_GROUND_TERMINATION]: 'termination',
};

/** Something that the certificate does not claim, so that nobody reads it as claimed. */
export interface Caveat {
  /** Stable. */
  readonly code: string;
  readonly text: string;
}

const standingCaveats: readonly Caveat[] = [
  {
    code: 'already-received',
    text: 'Plaintext that a subscriber, an export or a reader received before the unreadable clock is outside of what the platform can reach.',
  },
  {
    code: 'text-in-tickets-of-others',
    text: 'What the person wrote in tickets of other people stays with those tickets, without its author: the parts that name them are unreadable. The text itself may name people.',
  },
];

const unreadableBoxes: Caveat = {
  code: 'boxes-merely-unreadable',
  text: 'Boxes in records of other people and tickets stay where they are and became unreadable, because their key is gone; the receipts count them.',
};

const ledgerMayLack: Caveat = {
  code: 'ledger-may-lack',
  text: 'The exact totals may lack events of what was erased: a service stopped waiting for analytics, or analytics could not count them.',
};

/** The longest that a lease may outlive its fence: the promise behind the first clock. */
export const unreadableBoundMs = 60_000;

/** The text form of a scope in the digest: `person/<token>@<incarnation>`. */
function digestLine({ kind, token, incarnation }: FencedScope): string {
  return `${kind}/${token}@${incarnation}`;
}

/** SHA-256, hex, over the scopes' lines, sorted by code unit and joined by line feeds. */
export function scopesDigest(scopes: readonly FencedScope[]): string {
  const lines = scopes.map(digestLine).toSorted();
  return createHash('sha256').update(lines.join('\n')).digest('hex');
}

const instant = (timeMs: number): string => new Date(timeMs).toISOString();

function receiptsOf(erasure: Erasure) {
  return erasure.receipts
    .toSorted((left, right) => (left.service < right.service ? -1 : 1))
    .map((receipt) => ({
      service: receipt.service,
      recordsTombstoned: receipt.recordsTombstoned,
      rowsDeleted: receipt.rowsDeleted,
      boxesUnreadable: receipt.boxesUnreadable,
      ledgerComplete: receipt.ledgerComplete,
      finishedAt: instant(receipt.finishedAtMs),
    }));
}

function caveatsOf(erasure: Erasure): Caveat[] {
  const { receipts } = erasure;
  const caveats = [...standingCaveats];
  if (receipts.some(({ boxesUnreadable }) => boxesUnreadable > 0)) caveats.push(unreadableBoxes);
  if (receipts.some(({ ledgerComplete }) => !ledgerComplete)) caveats.push(ledgerMayLack);
  return caveats;
}

/** The payload of a certificate; documented in docs/certificate.md. */
export type Certificate = ReturnType<typeof buildCertificate>;

/**
 * What the certificate says: a pure function of an erasure that has its fence, its unreadable clock and all its
 * receipts, of its purge clocks, and of the moment of signing.
 */
export function buildCertificate(
  erasure: Erasure,
  clocks: { readonly purgedAtMs: number; readonly physicallyGoneByMs: number },
  horizons: Horizons,
  issuedAtMs: number,
) {
  const { fence, unreadableAtMs } = erasure;
  if (fence === undefined || unreadableAtMs === undefined) {
    throw new RangeError('a certificate needs the fence and the unreadable clock');
  }
  return {
    type: 'lethe-erasure-certificate',
    version: 1,
    erasureId: erasure.erasureId,
    tenantId: erasure.tenantId,
    ground: groundNames[erasure.ground] ?? 'unspecified',
    issuedAt: instant(issuedAtMs),
    requestedAt: instant(erasure.requestedAtMs),
    fencedAt: instant(fence.fencedAtMs),
    persons: [...erasure.personTokens],
    scopes: {
      persons: fence.scopes.filter(({ kind }) => kind === 'person').length,
      tickets: fence.scopes.filter(({ kind }) => kind === 'ticket').length,
      sha256: scopesDigest(fence.scopes),
    },
    keysDestroyed: fence.keysDestroyed,
    clocks: {
      unreadable: {
        at: instant(unreadableAtMs),
        boundMs: unreadableBoundMs,
      },
      purged: { at: instant(clocks.purgedAtMs) },
      physicallyGone: { by: instant(clocks.physicallyGoneByMs), ...horizons },
    },
    receipts: receiptsOf(erasure),
    boxesMerelyUnreadable: erasure.receipts.reduce(
      (sum, { boxesUnreadable }) => sum + boxesUnreadable,
      0,
    ),
    caveats: caveatsOf(erasure),
  };
}
