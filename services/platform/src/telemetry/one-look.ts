import type { Clock } from '../lifecycle/clock.ts';

/** All metrics of an export are asked within this time, and an export comes later than that. */
const sameExportMs = 400;

/** A question that several metrics have, asked once for an export. */
export function createOneLook<Answer>(
  ask: () => Promise<Answer>,
  clock: Clock,
): () => Promise<Answer> {
  let asked: { readonly answer: Promise<Answer>; readonly atMs: number } | undefined;
  return async () => {
    const nowMs = clock.monotonicMs();
    if (asked === undefined || nowMs - asked.atMs >= sameExportMs) {
      asked = { answer: ask(), atMs: nowMs };
    }
    return await asked.answer;
  };
}
