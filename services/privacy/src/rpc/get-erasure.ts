import type {
  GetErasureRequest,
  GetErasureResponse,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import type { UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import { parseErasureId } from '@lethe/platform/grpc/parse-request.ts';
import type { Kysely } from 'kysely';
import type { PrivacySchema } from '../schema.ts';
import { erasureMessageOf } from './erasure-message.ts';
import { ownErasure } from './own-erasure.ts';

export function getErasure(
  db: Kysely<PrivacySchema>,
): UnaryHandler<GetErasureRequest, GetErasureResponse> {
  return async (request, call) => {
    const erasure = await ownErasure(db, call, parseErasureId(request.erasureId));
    return { erasure: erasureMessageOf(erasure) };
  };
}
