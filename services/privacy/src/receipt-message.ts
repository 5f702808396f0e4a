import type { ServiceName } from '@lethe/proto/access.ts';
import type { ErasureReceipt } from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import type { Receipt } from './domain/erasure.ts';

/** A receipt as messages, the log and its row have it. */
export function receiptMessageOf(receipt: Receipt): ErasureReceipt {
  return {
    service: receipt.service,
    records: BigInt(receipt.recordsTombstoned),
    rows: BigInt(receipt.rowsDeleted),
    boxesUnreadable: BigInt(receipt.boxesUnreadable),
    ledgerComplete: receipt.ledgerComplete,
    finishedAt: new Date(receipt.finishedAtMs),
  };
}

/** `service` is known to be one of ours: by its certificate, or because we stored it. */
export function receiptOfMessage(service: ServiceName, message: ErasureReceipt): Receipt {
  return {
    service,
    recordsTombstoned: Number(message.records),
    rowsDeleted: Number(message.rows),
    boxesUnreadable: Number(message.boxesUnreadable),
    ledgerComplete: message.ledgerComplete,
    finishedAtMs: message.finishedAt?.getTime() ?? 0,
  };
}
