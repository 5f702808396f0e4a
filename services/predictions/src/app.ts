import { createAppendHandlers } from '@lethe/platform/event-store/append-handlers.ts';
import { createEventOwner, type OwnerPorts } from '@lethe/platform/event-store/owner.ts';
import { registerService } from '@lethe/platform/grpc/register.ts';
import type { Service } from '@lethe/platform/lifecycle/service.ts';
import { PredictionServiceService } from '@lethe/proto/gen/lethe/predictions/v1/service.ts';
import type { PredictionsConfig } from './config.ts';
import { createTicketsEffect } from './consumer.ts';
import { migrations } from './migrations/migrations.ts';
import { predictionFamily } from './prediction-events.ts';
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
      observes: { topics: ['tickets.v1'], effect: createTicketsEffect },
      publicApi: ({ eventStore, keys }) => {
        const { append, stream } = createAppendHandlers({ eventStore, keys }, parser);
        return [
          registerService(PredictionServiceService, {
            appendPredictionEvents: append,
            streamPredictionEvents: stream,
            listPredictions: listPredictions({ db: ports.db, keys }),
          }),
        ];
      },
    },
    ports,
  );
}
