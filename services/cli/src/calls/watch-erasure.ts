import { PrivacyServiceService, type Erasure } from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import type { Caller } from '../connection/session.ts';
import { isCompleted } from '../views/erasure.ts';
import { retryDelayMs, type RetryMeans } from './retry.ts';

/** The erasure now and after each change, until it is completed; a broken watch begins anew. */
export async function* watchErasure(
  officer: Caller,
  erasureId: string,
  means: RetryMeans,
): AsyncGenerator<Erasure> {
  let attempt = 1;
  for (;;) {
    try {
      for await (const { erasure } of officer.serverStream(PrivacyServiceService.watchErasure, {
        erasureId,
      })) {
        attempt = 1;
        if (erasure === undefined) continue;
        yield erasure;
        if (isCompleted(erasure)) return;
      }
    } catch (error) {
      const delayMs = retryDelayMs(error, attempt, means.randomFraction());
      if (delayMs === undefined) throw error;
      attempt += 1;
      await means.clock.sleep(delayMs, means.signal);
    }
  }
}
