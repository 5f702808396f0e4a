import type { Peer } from '@lethe/platform/grpc/handler.ts';
import type { ErasureId } from '@lethe/platform/ids/ids.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import type { Logger } from '@lethe/platform/log/logger.ts';
import type { Kysely } from 'kysely';
import { buildCertificate } from './certificate/build-certificate.ts';
import type { CertificateSigner } from './certificate/signer.ts';
import { type Erasure, type Horizons, nextStep, purgeClocks } from './domain/erasure.ts';
import type { ErasureWriter } from './erasure-writer.ts';
import { fence, unreadableSince } from './fencing.ts';
import type { PrivacySchema } from './schema.ts';
import { readErasure } from './store.ts';

export interface ErasureStepsPorts {
  readonly db: Kysely<PrivacySchema>;
  /** `peers('keys')`. */
  readonly keys: Peer;
  readonly writer: ErasureWriter;
  readonly signer: CertificateSigner;
  readonly horizons: Horizons;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** `asks-again`: leases may still live, so the first clock has to be looked at soon. */
export type Advanced = 'asks-again' | 'rests';

/**
 * Takes every step of an erasure that can be taken now. Each reads the committed state, does its call and commits the
 * outcome. If the process dies anywhere, the same step is found again: `Fence` and `UnreadableStatus` may be repeated,
 * receipts come to us, and a certificate that was signed and not stored is signed again.
 */
export async function advanceErasure(
  ports: ErasureStepsPorts,
  erasureId: ErasureId,
  signal: AbortSignal,
): Promise<Advanced> {
  const { keys, writer } = ports;
  let erasure = await readErasure(ports.db, erasureId);
  while (erasure !== undefined) {
    switch (nextStep(erasure)) {
      case 'fence': {
        const answer = await fence(keys, erasure, signal);
        erasure = await writer.apply(erasureId, { type: 'recordFence', fence: answer });
        break;
      }
      case 'ask-unreadable': {
        const unreadableAtMs = await unreadableSince(keys, erasure, signal);
        if (unreadableAtMs === undefined) return 'asks-again';
        erasure = await writer.apply(erasureId, { type: 'recordUnreadable', unreadableAtMs });
        break;
      }
      case 'complete':
        erasure = await complete(ports, erasure);
        break;
      case 'wait-for-receipts':
      case 'done':
        return 'rests';
    }
  }
  return 'rests';
}

async function complete(ports: ErasureStepsPorts, erasure: Erasure): Promise<Erasure> {
  const { erasureId, tenantId } = erasure;
  const nowMs = ports.clock.nowMs();
  const clocks = purgeClocks(erasure, ports.horizons, nowMs);
  const certificate = buildCertificate(erasure, clocks, ports.horizons, nowMs);
  // Signed before the transaction, in which nothing is awaited but SQL. Nothing of the state can change meanwhile:
  // every clock and receipt in the certificate is final.
  const certificateJws = await ports.signer.sign(certificate);
  const completion = { ...clocks, certificateJws };
  const completed = await ports.writer.apply(erasureId, { type: 'complete', completion });
  ports.logger.info({ tenant: tenantId, erasure: erasureId }, 'erasure completed');
  return completed;
}
