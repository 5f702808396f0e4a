import { v7 } from 'uuid';
import type { Clock, RandomBytes } from '../lifecycle/clock.ts';
import type { ErasureId, EventId } from './ids.ts';

/** A new UUIDv7: sorts by time, 74 random bits. */
export function newUuid(clock: Clock, randomBytes: RandomBytes): EventId & ErasureId {
  return v7({ msecs: clock.nowMs(), random: randomBytes(16) }) as EventId & ErasureId;
}
