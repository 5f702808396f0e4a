import {
  type WatchErasureRequest,
  WatchErasureResponse,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import type { ServerStreamHandler } from '@lethe/platform/grpc/handler.ts';
import { parseErasureId } from '@lethe/platform/grpc/parse-request.ts';
import type { Kysely } from 'kysely';
import type { PrivacySchema } from '../schema.ts';
import type { Watchers } from '../watchers.ts';
import { erasureMessageOf } from './erasure-message.ts';
import { ownErasure } from './own-erasure.ts';

/** Another instance of this service may have made the change, so waiting is bounded. */
const pollMs = 1_000;

/** The erasure at once and after each change, until it is completed or the caller leaves. */
export function watchErasure(
  db: Kysely<PrivacySchema>,
  watchers: Watchers,
): ServerStreamHandler<WatchErasureRequest, WatchErasureResponse> {
  return async function* (request, call) {
    const erasureId = parseErasureId(request.erasureId);
    // Joined before the first read, so that no change falls between the read and the wait.
    const { wakeable, leave } = watchers.join(erasureId);
    try {
      let told = '';
      while (!call.signal.aborted) {
        const erasure = await ownErasure(db, call, erasureId);
        const response = { erasure: erasureMessageOf(erasure) };
        const seen = Buffer.from(WatchErasureResponse.encode(response).finish()).toString('base64');
        if (seen !== told) yield response;
        told = seen;
        if (erasure.completion !== undefined) return;
        await wakeable.wait(pollMs, call.signal);
      }
    } finally {
      leave();
    }
  };
}
