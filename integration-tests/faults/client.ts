import { status } from '@grpc/grpc-js';
import { setTimeout as delay } from 'node:timers/promises';
import { sendBatches } from '@lethe/cli/calls/batch-stream.ts';
import { CallError } from '@lethe/cli/calls/call-error.ts';
import { type Method, openChannel } from '@lethe/cli/calls/channel.ts';
import { type RetryMeans, withRetry } from '@lethe/cli/calls/retry.ts';
import type { AppendResult } from '@lethe/proto/gen/lethe/log/v1/append.ts';
import { mintOf, type TokenClaims } from '../harness/access-tokens.ts';

type SendMethod<Event> = Method<{ readonly events: Event[] }, { readonly results: AppendResult[] }>;

/**
 * A client that retries as docs/tenants.md says, by the command line's own code, and that does not give up: what is
 * not acknowledged is sent again, whatever became of it.
 */
export interface PatientClient {
  call<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    claims: TokenClaims,
  ): Promise<Response>;
  /** Streams batches in order; `open` is asked before each, `onAnswer` called once for each. */
  send<Event>(
    method: SendMethod<Event>,
    batches: readonly (readonly Event[])[],
    wish: SendWish<Event>,
  ): Promise<void>;
  /** How often a stream was begun anew, and how often the client had used up its tries and began once more. */
  readonly counts: { streams: number; startedOver: number };
  close(): void;
}

export interface SendWish<Event> {
  readonly tenant: string;
  readonly open: () => Promise<void>;
  readonly onAnswer: (events: readonly Event[], results: readonly AppendResult[]) => void;
}

/** Messages of one stream that wait for their acknowledgement. */
const inFlightMax = 2;
const callTimeoutMs = 60_000;
const startOverAfterMs = 500;

export function openPatientClient(address: string, dataFolder: string): PatientClient {
  const channel = openChannel(address);
  const ending = new AbortController();
  const means = meansUntil(ending.signal);
  const mint = mintOf(dataFolder);
  const counts = { streams: 0, startedOver: 0 };
  /** The policy's tries are over while a system is away for longer: they begin once more. */
  const again = async <Result>(attempt: () => Promise<Result>): Promise<Result> => {
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        if (!mayPass(error)) throw error;
        counts.startedOver += 1;
        await delay(startOverAfterMs);
      }
    }
  };
  return {
    counts,
    call: async (method, request, claims) =>
      await again(
        async () =>
          await withRetry(means, async () => {
            const deadlineMs = Date.now() + callTimeoutMs;
            const options = { accessToken: mint.mint(claims), signal: ending.signal, deadlineMs };
            return await channel.unary(method, request, options);
          }),
      ),
    send: async (method, batches, { tenant, open, onAnswer }) => {
      let answered = 0;
      await again(
        async () =>
          await sendBatches({
            channel,
            method,
            accessToken: async () => {
              counts.streams += 1;
              return mint.mint({ tenant, roles: ['writer'] });
            },
            messages: messagesOf(batches.slice(answered), open),
            inFlightMax,
            onAcknowledged: ({ events }, { results }) => {
              answered += 1;
              onAnswer(events, results);
            },
            means,
          }),
      );
    },
    close: () => {
      ending.abort();
      channel.close();
    },
  };
}

function meansUntil(signal: AbortSignal): RetryMeans {
  const clock = {
    nowMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    sleep: async (durationMs: number) => await delay(durationMs),
  };
  return { clock, randomFraction: () => Math.random(), signal };
}

/** What docs/tenants.md says may be tried again; and a call of ours that is asked again changes nothing either. */
function mayPass(error: unknown): boolean {
  return (
    error instanceof CallError &&
    [status.UNAVAILABLE, status.RESOURCE_EXHAUSTED, status.DEADLINE_EXCEEDED].includes(error.code)
  );
}

async function* messagesOf<Event>(
  batches: readonly (readonly Event[])[],
  open: () => Promise<void>,
): AsyncGenerator<{ readonly events: Event[] }> {
  for (const batch of batches) {
    await open();
    yield { events: [...batch] };
  }
}
