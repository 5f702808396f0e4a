import type { Kysely } from 'kysely';
import { ReceiptServiceService } from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { failureFields } from '../errors/failure.ts';
import type { Peer } from '../grpc/handler.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { createLoop, type Loop } from '../lifecycle/loop.ts';
import type { Logger } from '../log/logger.ts';
import { markReceiptSent, type UnsentReceipt, unsentReceipts } from './receipts.ts';

export interface ReceiptSenderPorts<Schema> {
  readonly db: Kysely<Schema>;
  /** `peers('privacy')`. */
  readonly peer: Peer;
  readonly clock: Clock;
  readonly logger: Logger;
}

const pollMs = 5_000;
const callTimeoutMs = 10_000;
const receiptsPerPageMax = 100;

/**
 * Sends stored receipts until privacy has them. If the process dies between the answer and the mark, the receipt is
 * sent again: RecordReceipt is idempotent by erasure and service. `wake` after a transaction that stored one.
 */
export function createReceiptSender<Schema>(ports: ReceiptSenderPorts<Schema>): Loop {
  const { db, peer, clock, logger } = ports;
  const send = async (unsent: UnsentReceipt, signal: AbortSignal): Promise<void> => {
    const { tenantId, erasureId, receipt } = unsent;
    const request = { tenantId, erasureId, receipt };
    await peer.unary(ReceiptServiceService.recordReceipt, request, {
      signal,
      timeoutMs: callTimeoutMs,
    });
    await markReceiptSent(db, erasureId);
    logger.info({ tenant: tenantId, erasure: erasureId }, 'receipt sent');
  };
  const sendAll = async (signal: AbortSignal): Promise<'idle'> => {
    let failed: PromiseRejectedResult | undefined;
    let page: readonly UnsentReceipt[] = [];
    do {
      page = await unsentReceipts(db, receiptsPerPageMax, page.at(-1)?.erasureId);
      const outcomes = await Promise.allSettled(page.map((receipt) => send(receipt, signal)));
      // Receipts that privacy refuses hold back none of the others, on this page or behind it.
      failed ??= outcomes.find((outcome) => outcome.status === 'rejected');
    } while (page.length === receiptsPerPageMax && !signal.aborted);
    if (failed !== undefined) throw failed.reason;
    return 'idle';
  };
  return createLoop({
    name: 'receipt-sender',
    clock,
    pollMs,
    run: sendAll,
    onError: (error, delayMs) => {
      logger.warn(
        { component: 'receipt-sender', ...failureFields(error), delayMs },
        'receipts wait for privacy',
      );
    },
  });
}
