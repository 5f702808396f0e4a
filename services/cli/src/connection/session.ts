import { openChannel, type Channel, type Method } from '../calls/channel.ts';
import { retryPolicy, withRetry, type Retry, type RetryMeans } from '../calls/retry.ts';
import { CliError, usageError } from '../failures/cli-error.ts';
import { explain } from '../failures/explain.ts';
import { exitCodes } from '../exit-codes.ts';
import { formatDuration } from '../output/numbers.ts';
import { clearLine } from '../output/progress.ts';
import type { CliClock, Surroundings } from '../surroundings.ts';
import { readIssuer, type Issuer, type TokenWish } from './access-token.ts';
import { dataFiles, readServerInfo } from './data-files.ts';

/** Where and as whom to call: the options that all commands share. */
export interface ConnectionOptions {
  readonly server?: string | undefined;
  /** HOST:PORT of the health server; default: what DATA/server.json says, else port 7481 of the server's host. */
  readonly healthServer?: string | undefined;
  readonly data: string;
  readonly token?: string | undefined;
}

/** How long one answer may take. */
export const callTimeoutMs = 30_000;
/** A minted token is used for this long and then made anew, seconds. */
const mintedTtlS = 900;
/** A human is told of a server that does not answer after as many tries: some three seconds. */
const triesInSilence = 6;
/** Where a server listens that says nothing else. */
const defaultHealthPort = 7481;

/** Calls as one identity. */
export interface Caller {
  unary<Request, Response>(method: Method<Request, Response>, request: Request): Promise<Response>;
  serverStream<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
  ): AsyncIterable<Response>;
  /** A token that is good for some minutes at least. */
  accessToken(): Promise<string>;
}

/** One server, and the identities by which this command may call it. */
export interface Session {
  readonly channel: Channel;
  readonly healthAddress: string;
  readonly means: RetryMeans;
  as(wish: TokenWish): Caller;
  /** For methods that ask nobody who they are. */
  readonly anonymous: Pick<Caller, 'unary'>;
  close(): void;
}

/** Opens a session; throws when no server or token can be found. Nothing is sent yet. */
export async function openSession(
  options: ConnectionOptions,
  surroundings: Surroundings,
): Promise<Session> {
  const { address, healthAddress } = await findServer(options);
  const channel = openChannel(address);
  const { clock, randomFraction, signal } = surroundings;
  const onRetry = tellOfRetries(surroundings);
  const means: RetryMeans = { clock, randomFraction, signal, onRetry };
  const given = options.token ?? surroundings.accessToken;
  const issuer = given === undefined ? await readIssuer(options.data, clock) : undefined;
  return {
    channel,
    healthAddress,
    means,
    as: (wish) =>
      createCaller(channel, means, tokenSource(given, issuer, wish, options.data, clock)),
    anonymous: createCaller(channel, means, undefined),
    close: () => channel.close(),
  };
}

/** Says to a human why nothing happens; once while it lasts, however many calls wait. */
function tellOfRetries({ terminal, clock }: Surroundings): (retry: Retry) => void {
  let saidAtMs = -Infinity;
  return ({ error, count }) => {
    const isSaid = clock.monotonicMs() - saidAtMs < retryPolicy.giveUpAfterMs;
    if (!terminal.isErrTerminal || count !== triesInSilence || isSaid) return;
    saidAtMs = clock.monotonicMs();
    const patience = formatDuration(retryPolicy.giveUpAfterMs);
    // A progress line may stand there: it paints itself again below.
    terminal.err(
      `${clearLine}${explain(error).what} Trying again for ${patience}; Ctrl-C ends it.\n`,
    );
  };
}

async function findServer(
  options: ConnectionOptions,
): Promise<{ readonly address: string; readonly healthAddress: string }> {
  if (options.server !== undefined) {
    const host = options.server.replace(/:\d+$/, '');
    const healthAddress = options.healthServer ?? `${host}:${defaultHealthPort}`;
    return { address: options.server, healthAddress };
  }
  const info = await readServerInfo(options.data);
  if (info !== undefined) {
    return { ...info, healthAddress: options.healthServer ?? info.healthAddress };
  }
  const { serverInfo } = dataFiles(options.data);
  throw new CliError(exitCodes.unreachable, `No server is known: there is no file ${serverInfo}.`, {
    next: 'Start one with `lethe up`, or say where it is with --server HOST:PORT or --data DIR.',
  });
}

function tokenSource(
  given: string | undefined,
  issuer: Issuer | undefined,
  wish: TokenWish,
  dataFolder: string,
  clock: CliClock,
): () => Promise<string> {
  if (given !== undefined) return () => Promise.resolve(given);
  if (issuer === undefined) {
    const { issuer: file } = dataFiles(dataFolder);
    throw new CliError(
      exitCodes.usage,
      `There is no access token, and no file ${file} to make one from.`,
      {
        next: 'Give one with --token or LETHE_TOKEN, or name the data folder of the local server with --data.',
      },
    );
  }
  let minted: { readonly token: Promise<string>; readonly untilMs: number } | undefined;
  if (wish.tenantId === undefined && !wish.roles.includes('platform-admin')) {
    throw usageError(
      'This command works on the data of one tenant.',
      'Name it with --tenant TENANT.',
    );
  }
  return async () => {
    const now = clock.nowMs();
    if (minted === undefined || now >= minted.untilMs) {
      minted = { token: issuer.mint(wish, mintedTtlS), untilMs: now + (mintedTtlS * 1000) / 2 };
    }
    return await minted.token;
  };
}

function createCaller(
  channel: Channel,
  means: RetryMeans,
  accessToken: (() => Promise<string>) | undefined,
): Caller {
  const { signal } = means;
  return {
    unary: async (method, request) =>
      await withRetry(means, async () => {
        const deadlineMs = means.clock.nowMs() + callTimeoutMs;
        const options = { accessToken: await accessToken?.(), signal, deadlineMs };
        return await channel.unary(method, request, options);
      }),
    serverStream: async function* (method, request) {
      yield* channel.serverStream(method, request, { accessToken: await accessToken?.(), signal });
    },
    accessToken: async () => (await accessToken?.()) ?? '',
  };
}
