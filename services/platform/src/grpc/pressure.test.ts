import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import {
  Client,
  connectivityState,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  Metadata,
  type Server,
  type ServiceError as GrpcError,
  status,
} from '@grpc/grpc-js';
import { ErrorInfo, RetryInfo, Status } from '@lethe/proto/gen/google/rpc/error_details.ts';
import { PrivacyServiceService } from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { TicketServiceService } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import type { TenantId } from '../ids/ids.ts';
import { createLogger } from '../log/logger.ts';
import { until } from '../testing/until.ts';
import type {
  BidiHandler,
  MethodDefinition,
  RegisteredMethod,
  ServerStreamHandler,
  UnaryHandler,
} from './handler.ts';
import { publicLimits, type ServerLimits } from './limits.ts';
import { createGrpcServer, listenPlaintext, stopGrpcServer } from './server.ts';
import { statusDetailsTrailer } from './status-details.ts';

/** Real sockets, and clients that behave badly. Bytes go through as they are: what is tested is how they flow. */

const bytesOf = (
  definition: { readonly path: string },
  requestStream: boolean,
  responseStream: boolean,
) => {
  const same = (bytes: unknown) => bytes as Buffer;
  return {
    path: definition.path,
    requestStream,
    responseStream,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  } satisfies MethodDefinition<unknown, unknown>;
};
const watch = bytesOf(PrivacyServiceService.watchErasure, false, true);
const append = bytesOf(TicketServiceService.streamTicketEvents, true, true);
const list = bytesOf(TicketServiceService.listTickets, false, false);
const same = (bytes: Buffer): Buffer => bytes;
const kilobyte = Buffer.alloc(1024);

/** Far more than the windows of HTTP/2 and the queues of streams hold. */
const manyAnswers = 20_000;

interface Served {
  readonly watching: ServerStreamHandler<unknown, unknown>;
  readonly appending: BidiHandler<unknown, unknown>;
  readonly listing: UnaryHandler<unknown, unknown>;
}

describe('the gRPC server under pressure', () => {
  const echo: BidiHandler<unknown, unknown> = async function* (requests) {
    for await (const _ of requests) yield kilobyte;
  };
  const opened: { readonly server: Server; readonly clients: Client[] }[] = [];
  afterEach(async () => {
    for (const { server, clients } of opened.splice(0)) {
      for (const client of clients) client.close();
      await stopGrpcServer(server, 500);
    }
  });

  /** A server whose tokens are "<tenant>" or "<tenant> until <ms>"; every client has a connection of its own. */
  const serve = async (wish: Partial<Served>, limits: Partial<ServerLimits> = {}) => {
    const methods: RegisteredMethod[] = [
      {
        kind: 'serverStream',
        definition: watch,
        handler:
          wish.watching ??
          async function* () {
            yield kilobyte;
          },
      },
      { kind: 'bidi', definition: append, handler: wish.appending ?? echo },
      { kind: 'unary', definition: list, handler: wish.listing ?? (async () => kilobyte) },
    ];
    const server = createGrpcServer({
      registrations: [{ serviceName: 'lethe.test', methods }],
      callers: {
        by: 'token',
        verifyToken: async (token) => {
          const [tenant = '', untilMs] = token.split('+');
          return {
            kind: 'tenant',
            tenantId: tenant as TenantId,
            subject: 's',
            roles: ['reader', 'writer', 'privacy-officer'],
            ...(untilMs === undefined ? {} : { expiresAtMs: Number(untilMs) }),
          };
        },
      },
      logger: createLogger({ service: 'test', level: 'silent' }),
      limits: { ...publicLimits, ...limits },
    });
    const port = await listenPlaintext(server, '127.0.0.1', 0);
    const clients: Client[] = [];
    opened.push({ server, clients });
    return {
      server,
      connect: () => {
        const options = { 'grpc.use_local_subchannel_pool': 1, 'grpc.enable_retries': 0 };
        const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), options);
        clients.push(client);
        return client;
      },
    };
  };

  it('stops a watch that nobody reads, and ends it with a typed error', async () => {
    const world = countingWatch();
    const { connect, server } = await serve(world.handlers, { slowReaderMs: 300 });
    const stream = openWatch(connect(), 'acme');
    const failure = once(stream, 'error') as Promise<[GrpcError]>;
    await readOneAndStop(stream);
    await until(() => world.ended === 1);
    assert.ok(world.produced < 1_000, `${world.produced} answers were made for nobody`);
    stream.resume();
    const [error] = await failure;
    assert.equal(error.code, status.RESOURCE_EXHAUSTED);
    assert.equal(detailsOf(error).reason, 'READER_TOO_SLOW');
    await finishesByItself(server);
  });

  it('keeps nothing for a caller that does not even read the error', async () => {
    const world = countingWatch();
    const { connect, server } = await serve(world.handlers, { slowReaderMs: 200 });
    const stream = openWatch(connect(), 'acme');
    stream.on('error', () => undefined);
    await readOneAndStop(stream);
    await until(() => world.ended === 1);
    await finishesByItself(server);
  });

  it('takes no more messages of a caller that does not read their answers', async () => {
    let [handled, ended] = [0, 0];
    const appending: BidiHandler<unknown, unknown> = async function* (requests) {
      try {
        for await (const _ of requests) {
          handled += 1;
          yield kilobyte;
        }
      } finally {
        ended += 1;
      }
    };
    const { connect } = await serve({ appending }, { slowReaderMs: 500 });
    const client = connect();
    const flooding = openAppend(client, 'acme');
    const failure = once(flooding, 'error') as Promise<[GrpcError]>;
    flooding.write(kilobyte);
    await readOneAndStop(flooding);
    for (let sent = 0; sent < manyAnswers; sent += 1) flooding.write(kilobyte);
    await until(() => ended === 1);
    assert.ok(handled < 1_000, `${handled} messages were taken`);
    assert.equal(
      (await ask(openAppend(connect(), 'bolt'))).length,
      1,
      'others are served meanwhile',
    );
    flooding.resume();
    const [error] = await failure;
    assert.equal(error.code, status.RESOURCE_EXHAUSTED);
  });

  it('lets a reader that is merely slow have everything, however long that takes', async () => {
    const large = Buffer.alloc(300_000);
    const watching: ServerStreamHandler<unknown, unknown> = async function* () {
      for (let made = 0; made < 50; made += 1) yield large;
    };
    // Sixteen answers wait, which take it longer than that.
    const { connect } = await serve({ watching }, { slowReaderMs: 1_000 });
    let read = 0;
    for await (const _ of openWatch(connect(), 'acme')) {
      read += 1;
      await delay(100);
    }
    assert.equal(read, 50);
  });

  it('refuses the call after the last that it takes, harms no other, and goes on when they leave', async () => {
    const { connect } = await serve({}, { callsMax: 3 });
    const open = await Promise.all(
      ['acme', 'bolt', 'cato'].map(async (tenant) => {
        const stream = openAppend(connect(), tenant);
        await ask(stream);
        return stream;
      }),
    );
    const fourth = connect();
    const refused = await callFailure(call(fourth, 'dice'));
    assert.equal(refused.code, status.RESOURCE_EXHAUSTED);
    assert.deepEqual(detailsOf(refused), {
      reason: 'TOO_MANY_CALLS',
      limit: 'calls',
      retryDelayMs: 1_000,
    });
    for (const stream of open) await ask(stream);
    open[0]?.cancel();
    await until(async () => (await call(fourth, 'dice').catch(() => undefined)) !== undefined);
  });

  it('refuses the tenant that has as many calls open as one may have, and no other tenant', async () => {
    const { connect } = await serve({}, { callsPerCallerMax: 2 });
    const streams = [openAppend(connect(), 'acme'), openAppend(connect(), 'acme')];
    for (const stream of streams) await ask(stream);
    const refused = await callFailure(call(connect(), 'acme'));
    assert.equal(detailsOf(refused).limit, 'calls_per_caller');
    assert.ok(await call(connect(), 'bolt'));
    for (const stream of streams) await ask(stream);
    streams[0]?.end();
    const again = connect();
    await until(async () => (await call(again, 'acme').catch(() => undefined)) !== undefined);
  });

  it('gives back the place of a call however it ended', async () => {
    const world = countingWatch();
    const listing = async () => {
      throw new Error('a defect');
    };
    const { connect } = await serve(
      { ...world.handlers, listing },
      { callsMax: 1, slowReaderMs: 50 },
    );
    for (let round = 0; round < 3; round += 1) {
      const client = connect();
      assert.equal(detailsOf(await callFailure(call(client, 'acme'))).reason, 'INTERNAL_DEFECT');
      const cut = openWatch(client, 'acme');
      cut.on('error', () => undefined);
      await once(cut, 'data');
      cut.cancel();
      await until(() => world.ended === 2 * round + 1);
      const slow = openWatch(client, 'acme');
      slow.on('error', () => undefined);
      await readOneAndStop(slow);
      await until(() => world.ended === 2 * round + 2);
    }
  });

  it('lets a connection have so many calls and the next one wait', async () => {
    const { connect } = await serve({}, { streamsPerConnectionMax: 2 });
    const client = connect();
    const streams = [openAppend(client, 'acme'), openAppend(client, 'acme')];
    for (const stream of streams) await ask(stream);
    let isAnswered = false;
    const waiting = call(client, 'acme').then(() => (isAnswered = true));
    assert.ok(await call(connect(), 'acme'), 'another connection is not held up');
    assert.equal(isAnswered, false);
    streams[0]?.end();
    assert.equal(await waiting, true);
  });

  it('closes a connection without a call, and takes the next one', async () => {
    const { connect } = await serve({}, { connectionIdleMs: 300 });
    const client = connect();
    assert.ok(await call(client, 'acme'));
    const state = () => client.getChannel().getConnectivityState(false);
    assert.equal(state(), connectivityState.READY);
    await until(() => state() === connectivityState.IDLE);
    assert.ok(await call(client, 'acme'));
  });

  it('refuses metadata and messages that are too large, and serves the next call', async () => {
    const { connect } = await serve({}, { metadataBytesMax: 4_096, messageBytesMax: 100_000 });
    const client = connect();
    const large = new Metadata();
    large.set('authorization', 'Bearer acme');
    large.set('x-baggage', 'b'.repeat(4_096));
    assert.equal(detailsOf(await callFailure(call(client, large))).reason, 'METADATA_TOO_LARGE');
    const tooLong = await callFailure(call(client, 'acme', Buffer.alloc(100_001)));
    assert.equal(tooLong.code, status.RESOURCE_EXHAUSTED);
    assert.ok(await call(client, 'acme', Buffer.alloc(100_000)));
  });

  it('ends a stream with its token, after the answer to what it had taken', async () => {
    const appending: BidiHandler<unknown, unknown> = async function* (requests) {
      for await (const _ of requests) {
        await delay(600);
        yield kilobyte;
      }
    };
    const { connect } = await serve({ appending });
    const stream = openAppend(connect(), `acme+${Date.now() + 300}`);
    const failure = once(stream, 'error') as Promise<[GrpcError]>;
    const answers: Buffer[] = [];
    stream.on('data', (answer: Buffer) => answers.push(answer));
    stream.write(kilobyte);
    stream.write(kilobyte);
    const [error] = await failure;
    assert.equal(error.code, status.UNAUTHENTICATED);
    assert.equal(detailsOf(error).reason, 'TOKEN_EXPIRED');
    assert.equal(answers.length, 1);
  });

  /** A watch that always has something to say. */
  function countingWatch() {
    const world = { produced: 0, ended: 0 };
    const watching: ServerStreamHandler<unknown, unknown> = async function* () {
      try {
        for (let made = 0; made < manyAnswers; made += 1) {
          world.produced += 1;
          yield kilobyte;
        }
      } finally {
        world.ended += 1;
      }
    };
    return Object.assign(world, { handlers: { watching } });
  }
});

/** Without being forced: nothing is open any more. */
async function finishesByItself(server: Server): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error('a call is still open'));
    }, 5_000);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function metadataOf(tokenOrMetadata: string | Metadata): Metadata {
  if (typeof tokenOrMetadata !== 'string') return tokenOrMetadata;
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${tokenOrMetadata}`);
  return metadata;
}

function openWatch(client: Client, token: string): ClientReadableStream<Buffer> {
  return client.makeServerStreamRequest(watch.path, same, same, kilobyte, metadataOf(token));
}

function openAppend(client: Client, token: string): ClientDuplexStream<Buffer, Buffer> {
  const stream = client.makeBidiStreamRequest(append.path, same, same, metadataOf(token));
  stream.on('error', () => undefined);
  return stream;
}

/** A client of grpc-js that never began to read takes everything into its own memory, so this one begins. */
async function readOneAndStop(stream: ClientReadableStream<Buffer>): Promise<void> {
  await once(stream, 'data');
  stream.pause();
}

/** Sends one message and waits for its answer. */
async function ask(stream: ClientDuplexStream<Buffer, Buffer>): Promise<unknown[]> {
  stream.write(kilobyte);
  return await once(stream, 'data');
}

async function call(
  client: Client,
  tokenOrMetadata: string | Metadata,
  request = kilobyte,
): Promise<Buffer> {
  return await new Promise((resolve, reject) => {
    const metadata = metadataOf(tokenOrMetadata);
    client.makeUnaryRequest(list.path, same, same, request, metadata, (error, response) => {
      if (error !== null) reject(error);
      else resolve(response ?? Buffer.alloc(0));
    });
  });
}

async function callFailure(answer: Promise<unknown>): Promise<GrpcError> {
  return await answer.then(
    () => assert.fail('the call was answered'),
    (error: unknown) => error as GrpcError,
  );
}

function detailsOf(error: GrpcError) {
  const bytes = error.metadata.get(statusDetailsTrailer)[0];
  assert.ok(bytes instanceof Buffer, `no details: ${error.details}`);
  const { details } = Status.decode(bytes);
  const find = (name: string) => details.find(({ typeUrl }) => typeUrl.endsWith(name))?.value;
  const { reason, metadata } = ErrorInfo.decode(find('ErrorInfo') ?? Buffer.alloc(0));
  const { retryDelay } = RetryInfo.decode(find('RetryInfo') ?? Buffer.alloc(0));
  return {
    reason,
    limit: metadata['limit'],
    retryDelayMs: Number(retryDelay?.seconds ?? 0) * 1_000 + (retryDelay?.nanos ?? 0) / 1e6,
  };
}
