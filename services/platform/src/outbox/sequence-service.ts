import type { Kysely } from 'kysely';
import type {
  HeadsRequest,
  HeadsResponse,
  MissingRequest,
  MissingResponse,
} from '@lethe/proto/gen/lethe/log/v1/service.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { UnaryHandler } from '../grpc/handler.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { erasedWithin } from './erased-ranges.ts';
import { readHeads } from './heads.ts';

/** Handlers of lethe.log.v1.SequenceService. */
export interface SequenceServiceHandlers {
  readonly missing: UnaryHandler<MissingRequest, MissingResponse>;
  readonly heads: UnaryHandler<HeadsRequest, HeadsResponse>;
}

/** How the owner of `topic` answers the topic's consumers; for `registerService(SequenceServiceService, …)`. */
export function sequenceServiceHandlers<Schema>(
  db: Kysely<Schema>,
  topic: string,
  clock: Clock,
): SequenceServiceHandlers {
  const assertTopic = (asked: string): void => {
    if (asked === topic) return;
    throw new ServiceError('INVALID_FIELDS', `this service owns ${topic} alone`, {
      violations: [{ field: 'topic', description: `must be ${topic}` }],
    });
  };
  return {
    missing: async (request) => {
      assertTopic(request.topic);
      const range = { first: request.fromSequence, last: request.toSequence };
      const erased = await erasedWithin(db, topic, request.partition, range);
      return {
        erased: erased.map((run) => ({ fromSequence: run.first, toSequence: run.last })),
      };
    },
    heads: async (request) => {
      assertTopic(request.topic);
      const { heads, asOfMs } = await readHeads(db, topic, clock);
      return { heads: [...heads], asOf: new Date(asOfMs) };
    },
  };
}
