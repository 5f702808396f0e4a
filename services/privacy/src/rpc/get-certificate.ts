import type {
  GetCertificateRequest,
  GetCertificateResponse,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import { parseErasureId } from '@lethe/platform/grpc/parse-request.ts';
import type { Kysely } from 'kysely';
import { missingReceipts } from '../domain/erasure.ts';
import type { PrivacySchema } from '../schema.ts';
import { ownErasure } from './own-erasure.ts';

export function getCertificate(
  db: Kysely<PrivacySchema>,
): UnaryHandler<GetCertificateRequest, GetCertificateResponse> {
  return async (request, call) => {
    const erasure = await ownErasure(db, call, parseErasureId(request.erasureId));
    if (erasure.completion !== undefined) {
      return { certificateJws: erasure.completion.certificateJws };
    }
    const missing = missingReceipts(erasure);
    const waitsFor = missing.length === 0 ? 'the clocks' : `receipts of ${missing.join(', ')}`;
    throw new ServiceError(
      'ERASURE_NOT_COMPLETED',
      `The erasure ${erasure.erasureId} still waits for ${waitsFor}; watch it until it is completed.`,
    );
  };
}
