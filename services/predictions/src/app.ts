import { createAppendHandlers } from '@lethe/platform/event-store/append-handlers.ts';
import { createEventOwner, type OwnerPorts } from '@lethe/platform/event-store/owner.ts';
import { registerService } from '@lethe/platform/grpc/register.ts';
import type { Service } from '@lethe/platform/lifecycle/service.ts';
import { parkingHandlers } from '@lethe/platform/parking/parking-service.ts';
import { PredictionsParkingServiceService } from '@lethe/proto/gen/lethe/parking/v1/service.ts';
import { PredictionsRebuildServiceService } from '@lethe/proto/gen/lethe/rebuild/v1/service.ts';
import { PredictionServiceService } from '@lethe/proto/gen/lethe/predictions/v1/service.ts';
import type { PredictionsConfig } from './config.ts';
import { createTicketsEffect } from './consumer.ts';
import { migrations } from './migrations/migrations.ts';
import { predictionFamily } from './prediction-events.ts';
import { predictionRebuildRules } from './rebuild.ts';
import { listPredictions } from './rpc/list-predictions.ts';
import { createPredictionEventParser } from './rpc/prediction-event-parser.ts';

export type PredictionsPorts = OwnerPorts;

/** Composes the predictions service; nothing runs before `start`. */
export function createPredictions(config: PredictionsConfig, ports: PredictionsPorts): Service {
  const parser = createPredictionEventParser(() => ports.clock.nowMs());
  return createEventOwner(
    {
      family: predictionFamily,
      options: config.eventStore,
      migrations,
      rebuildRules: predictionRebuildRules,
      observes: {
        topics: ['tickets.v1'],
        effect: createTicketsEffect,
        parks: {
          streamKindOf: () => 'ticket',
          publicApi: (replaying) =>
            registerService(PredictionsParkingServiceService, parkingHandlers(replaying)),
        },
      },
      publicApi: ({ eventStore, keys, rebuild }) => {
        const { append, stream } = createAppendHandlers({ eventStore, keys }, parser);
        return [
          registerService(PredictionServiceService, {
            appendPredictionEvents: append,
            streamPredictionEvents: stream,
            listPredictions: listPredictions({ db: ports.db, keys }),
          }),
          registerService(PredictionsRebuildServiceService, { rebuild }),
        ];
      },
    },
    ports,
  );
}
