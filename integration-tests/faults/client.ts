import { status } from '@grpc/grpc-js';
import { setTimeout as delay } from 'node:timers/promises';
import { sendBatches } from '@lethe/cli/calls/batch-stream.ts';
import { CallError } from '@lethe/cli/calls/call-error.ts';
import { type Channel, type Method, openChannel } from '@lethe/cli/calls/channel.ts';
import { type Retry, type RetryMeans, withRetry } from '@lethe/cli/calls/retry.ts';
import { watchErasure } from '@lethe/cli/calls/watch-erasure.ts';
import type { Caller } from '@lethe/cli/connection/session.ts';
import type { AppendResult } from '@lethe/proto/gen/lethe/log/v1/append.ts';
import type { Erasure } from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { mintOf, type TokenClaims, type TokenMint } from '../harness/access-tokens.ts';

export type SendMethod<Event> = Method<
  { readonly events: Event[] },
  { readonly results: AppendResult[] }
>;

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
  /** Watches an erasure until it is completed. */
  follow(tenant: string, erasureId: string): Promise<Erasure | undefined>;
  readonly counts: Readonly<ClientCounts>;
  close(): void;
}

export interface ClientCounts {
  /** Unary calls, without those that were made again. */
  calls: number;
  /** How often a stream was begun, anew or again. */
  streams: number;
  /** How often the policy had a call or stream tried again, and the longest that one of them kept failing. */
  retries: number;
  longestMs: number;
  /** How often the policy gave up, and the client began once more; and upon what. */
  startedOver: number;
  readonly gaveUpOn: string[];
}

export interface SendWish<Event> {
  readonly tenant: string;
  readonly open: () => Promise<void>;
  readonly onAnswer: (events: readonly Event[], results: readonly AppendResult[]) => void;
}

/** Messages of one stream that wait for their acknowledgement. */
const inFlightMax = 2;
const usualTimeoutMs = 60_000;
const startOverAfterMs = 500;

export function openPatientClient(
  address: string,
  dataFolder: string,
  callTimeoutMs = usualTimeoutMs,
): PatientClient {
  const channel = openChannel(address);
  const ending = new AbortController();
  const counts = noCounts();
  const means = meansUntil(ending.signal, ({ forMs }) => {
    counts.retries += 1;
    counts.longestMs = Math.max(counts.longestMs, forMs);
  });
  const mint = mintOf(dataFolder);
  const as = (claims: TokenClaims) =>
    callerOf({ channel, mint, means, counts, callTimeoutMs }, claims);
  const again = async <Result>(attempt: () => Promise<Result>) =>
    await startingOver(counts, attempt);
  return {
    counts,
    call: async (method, request, claims) =>
      await again(async () => await as(claims).unary(method, request)),
    send: async (method, batches, { tenant, open, onAnswer }) => {
      let answered = 0;
      await again(
        async () =>
          await sendBatches({
            channel,
            method,
            accessToken: async () => {
              counts.streams += 1;
              return await as({ tenant, roles: ['writer'] }).accessToken();
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
    follow: async (tenant, erasureId) =>
      await again(async () => {
        const officer = as({ tenant, roles: ['privacy-officer'] });
        let last: Erasure | undefined;
        for await (const erasure of watchErasure(officer, erasureId, means)) last = erasure;
        return last;
      }),
    close: () => {
      ending.abort();
      channel.close();
    },
  };
}

interface CallerParts {
  readonly channel: Channel;
  readonly mint: TokenMint;
  readonly means: RetryMeans;
  readonly counts: ClientCounts;
  readonly callTimeoutMs: number;
}

/** As a session of the command line calls, with a fresh token each time. */
function callerOf(
  { channel, mint, means, counts, callTimeoutMs }: CallerParts,
  claims: TokenClaims,
): Caller {
  const { signal } = means;
  return {
    unary: async (method, request) => {
      counts.calls += 1;
      return await withRetry(means, async () => {
        const deadlineMs = Date.now() + callTimeoutMs;
        const options = { accessToken: mint.mint(claims), signal, deadlineMs };
        return await channel.unary(method, request, options);
      });
    },
    serverStream: (method, request) => {
      counts.streams += 1;
      return channel.serverStream(method, request, { accessToken: mint.mint(claims), signal });
    },
    accessToken: async () => await Promise.resolve(mint.mint(claims)),
  };
}

function noCounts(): ClientCounts {
  return { calls: 0, streams: 0, retries: 0, longestMs: 0, startedOver: 0, gaveUpOn: [] };
}

/** The policy's tries are over while a system is away for longer: they begin once more. */
async function startingOver<Result>(
  counts: ClientCounts,
  attempt: () => Promise<Result>,
): Promise<Result> {
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!mayPass(error)) throw error;
      counts.startedOver += 1;
      counts.gaveUpOn.push(`${error.codeName} ${error.details.reason ?? ''}: ${error.message}`);
      await delay(startOverAfterMs);
    }
  }
}

function meansUntil(signal: AbortSignal, onRetry: (retry: Retry) => void): RetryMeans {
  const clock = {
    nowMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    sleep: async (durationMs: number) => await delay(durationMs, undefined, { signal }),
  };
  return { clock, randomFraction: () => Math.random(), signal, onRetry };
}

/** What docs/tenants.md says may be tried again; and a call of ours that is asked again changes nothing either. */
function mayPass(error: unknown): error is CallError {
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
