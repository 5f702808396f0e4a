import { PrivacyServiceService, type Erasure } from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import type { Caller } from '../connection/session.ts';
import { isCompleted } from '../views/erasure.ts';
import { createPatientRetries, type RetryMeans } from './retry.ts';

/** The erasure now and after each change, until it is completed; a broken watch begins anew. */
export async function* watchErasure(
  officer: Caller,
  erasureId: string,
  means: RetryMeans,
): AsyncGenerator<Erasure> {
  const retries = createPatientRetries(means);
  for (;;) {
    try {
      for await (const { erasure } of officer.serverStream(PrivacyServiceService.watchErasure, {
        erasureId,
      })) {
        retries.succeeded();
        if (erasure === undefined) continue;
        yield erasure;
        if (isCompleted(erasure)) return;
      }
    } catch (error) {
      await retries.pause(error);
    }
  }
}
