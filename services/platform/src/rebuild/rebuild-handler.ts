import type { RebuildRequest, RebuildResponse } from '@lethe/proto/gen/lethe/rebuild/v1/service.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { ServerStreamHandler } from '../grpc/handler.ts';

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
  stop(): Promise<void>;
}

/**
 * Serves `run` as a stream: the newest progress whenever the caller takes one (what it was too slow for is left out),
 * the report at the end. A caller that goes away ends the rebuild.
 */
export function createRebuildRpc(run: (call: RebuildCall) => Promise<void>): RebuildRpc {
  const stopping = new AbortController();
  const running = new Set<Promise<void>>();
  return {
    handler: (request, { signal: callerSignal }) => {
      if (request.checkOnly && request.acceptDifferences) {
        throw new ServiceError('INVALID_FIELDS', 'a check accepts and refuses nothing', {
          violations: [{ field: 'accept_differences', description: 'not with check_only' }],
        });
      }
      const gone = new AbortController();
      const signal = AbortSignal.any([callerSignal, stopping.signal, gone.signal]);
      const steps = createSteps();
      const { checkOnly, acceptDifferences } = request;
      const work = run({ checkOnly, acceptDifferences, signal, tell: steps.tell }).then(
        () => steps.end(undefined),
        (error: unknown) => steps.end(signal.aborted ? endedEarly(stopping.signal) : error),
      );
      running.add(work);
      void work.finally(() => running.delete(work));
      return told(steps, gone);
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

async function* told(steps: Steps, gone: AbortController): AsyncGenerator<RebuildResponse> {
  try {
    for (let step = await steps.next(); step !== undefined; step = await steps.next()) {
      yield { step };
    }
  } finally {
    gone.abort();
  }
}

type Step = NonNullable<RebuildResponse['step']>;

interface Steps {
  tell(step: Step): void;
  end(error: unknown): void;
  /** The newest step that was not taken yet; undefined at the end. Throws what the rebuild ended with. */
  next(): Promise<Step | undefined>;
}

function createSteps(): Steps {
  let newest: Step | undefined;
  let ended: { readonly error: unknown } | undefined;
  let wake: () => void = () => {};
  return {
    tell: (step) => {
      newest = step;
      wake();
    },
    end: (error) => {
      ended = { error };
      wake();
    },
    next: async () => {
      if (newest === undefined && ended === undefined) {
        await new Promise<void>((resolve) => (wake = resolve));
      }
      const step = newest;
      newest = undefined;
      if (step !== undefined) return step;
      if (ended?.error !== undefined) throw ended.error;
      return undefined;
    },
  };
}
