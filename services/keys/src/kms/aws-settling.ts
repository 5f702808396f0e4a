import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import { createBackoff } from '@lethe/platform/retry/backoff.ts';

const firstDelayMs = 200;
const maxDelayMs = 2_000;
/** AWS speaks of a few seconds, rarely more. */
const settleMs = 20_000;

/**
 * Asks for something that is known to exist until AWS knows it too: what one of its nodes has made, another may not have
 * heard of. Undefined when it has not after 20 s.
 */
export async function settled<Answer>(
  clock: Clock,
  ask: () => Promise<Answer | undefined>,
): Promise<Answer | undefined> {
  const untilMs = clock.monotonicMs() + settleMs;
  const backoff = createBackoff(firstDelayMs, maxDelayMs);
  for (;;) {
    const answer = await ask();
    if (answer !== undefined || clock.monotonicMs() >= untilMs) return answer;
    await clock.sleep(backoff.next());
  }
}
