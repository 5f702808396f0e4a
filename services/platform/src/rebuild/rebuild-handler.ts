import type { RebuildRequest, RebuildResponse } from '@lethe/proto/gen/lethe/rebuild/v1/service.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { ServerStreamHandler } from '../grpc/handler.ts';
import { joinSignals } from '../lifecycle/joined-signal.ts';

/** What a rebuild is asked, and how it tells of itself. */
export interface RebuildCall {
  readonly checkOnly: boolean;
  readonly acceptDifferences: boolean;
  /** Fires when the caller goes away or the service stops. */
  readonly signal: AbortSignal;
  readonly tell: (step: NonNullable<RebuildResponse['step']>) => void;
}

/** The rebuilds of a service as its RPC, and their end with the service. */
export interface RebuildRpc {
  readonly handler: ServerStreamHandler<RebuildRequest, RebuildResponse>;
  /** Ends the rebuild under way, undone, and waits for it. */
  readonly stop: () => Promise<void>;
}

/**
 * Serves `run` as a stream: the newest progress whenever the caller takes one (what it was too slow for is left out),
 * the report at the end. A caller that goes away ends the rebuild.
 */
export function createRebuildRpc(run: (call: RebuildCall) => Promise<void>): RebuildRpc {
  const stopping = new AbortController();
  const running = new Set<Promise<unknown>>();
  return {
    handler: (request, { signal: callerSignal }) => {
      if (request.checkOnly && request.acceptDifferences) {
        throw new ServiceError('INVALID_FIELDS', 'a check accepts and refuses nothing', {
          violations: [{ field: 'accept_differences', description: 'not with check_only' }],
        });
      }
      const gone = new AbortController();
      const { signal, release } = joinSignals(callerSignal, stopping.signal, gone.signal);
      const steps = createSteps();
      const { checkOnly, acceptDifferences } = request;
      const work = run({ checkOnly, acceptDifferences, signal, tell: steps.tell });
      const ended = work.catch(() => undefined).finally(steps.end);
      running.add(ended);
      void ended.finally(() => {
        running.delete(ended);
        release();
      });
      return told(steps, gone, async () => {
        try {
          await work;
        } catch (error) {
          throw signal.aborted ? endedEarly(stopping.signal) : error;
        }
      });
    },
    stop: async () => {
      stopping.abort();
      await Promise.all(running);
    },
  };
}

function endedEarly(stopping: AbortSignal): ServiceError {
  const why = stopping.aborted ? 'The service is stopping' : 'The caller went away';
  return new ServiceError('SHUTTING_DOWN', `${why}; the rebuild was undone.`);
}

async function* told(
  steps: Steps,
  gone: AbortController,
  outcome: () => Promise<void>,
): AsyncGenerator<RebuildResponse> {
  try {
    for (let step = await steps.next(); step !== undefined; step = await steps.next()) {
      yield { step };
    }
    await outcome();
  } finally {
    gone.abort();
  }
}

type Step = NonNullable<RebuildResponse['step']>;

interface Steps {
  readonly tell: (step: Step) => void;
  readonly end: () => void;
  /** The newest step that was not taken yet; undefined at the end. */
  readonly next: () => Promise<Step | undefined>;
}

function createSteps(): Steps {
  let newest: Step | undefined;
  let isEnded = false;
  let wake: () => void = () => {};
  return {
    tell: (step) => {
      newest = step;
      wake();
    },
    end: () => {
      isEnded = true;
      wake();
    },
    next: async () => {
      if (newest === undefined && !isEnded) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      const step = newest;
      newest = undefined;
      return step;
    },
  };
}
