import type { ServiceName } from '@lethe/proto/access.ts';
import type {
  ErasureReceipt,
  RecordReceiptRequest,
  RecordReceiptResponse,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { type FieldViolation, ServiceError } from '@lethe/platform/errors/service-error.ts';
import { requireService } from '@lethe/platform/grpc/caller.ts';
import type { UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import { invalidFields, parseErasureId } from '@lethe/platform/grpc/parse-request.ts';
import type { Kysely } from 'kysely';
import type { Receipt } from '../domain/erasure.ts';
import type { ErasureWriter } from '../erasure-writer.ts';
import { receiptOfMessage } from '../receipt-message.ts';
import type { PrivacySchema } from '../schema.ts';
import { readErasure } from '../store.ts';

function parseReceipt(service: ServiceName, message: ErasureReceipt | undefined): Receipt {
  const violations: FieldViolation[] = [];
  if (message?.service !== service) {
    violations.push({ field: 'receipt.service', description: `must be the caller, ${service}` });
  }
  if (message?.finishedAt === undefined) {
    violations.push({ field: 'receipt.finished_at', description: 'must be set' });
  }
  if (message === undefined || violations.length > 0) throw invalidFields(violations);
  return receiptOfMessage(service, message);
}

/**
 * Keeps the first receipt of each service; the certificate of the caller says whose it is. A repeat, or a receipt that
 * nobody is waiting for, is answered alike, so that senders stop.
 */
export function recordReceipt(
  db: Kysely<PrivacySchema>,
  writer: ErasureWriter,
): UnaryHandler<RecordReceiptRequest, RecordReceiptResponse> {
  return async (request, call) => {
    const erasureId = parseErasureId(request.erasureId);
    const receipt = parseReceipt(requireService(call), request.receipt);
    const erasure = await readErasure(db, erasureId);
    if (erasure === undefined || erasure.tenantId !== request.tenantId) {
      throw new ServiceError('ERASURE_UNKNOWN', `The tenant has no erasure ${erasureId}.`);
    }
    await writer.apply(erasureId, { type: 'recordReceipt', receipt });
    return {};
  };
}
