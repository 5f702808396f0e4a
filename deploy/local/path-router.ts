import {
  type ClientHttp2Session,
  connect,
  constants,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { type ServiceName, serviceNames } from '@lethe/proto/access.ts';
import { publicApis } from '../public-apis.ts';

/** Where calls whose path begins so go. */
export interface Route {
  /** Such as "/lethe.tickets.v1.TicketService/". */
  readonly prefix: string;
  /** `host:port` that speaks gRPC over TLS; asked at each call. */
  readonly address: () => string;
}

/** Every API of clients to the service that has it. `addressOf` is asked at each call. */
export function publicRoutes(addressOf: (name: ServiceName) => string): readonly Route[] {
  return serviceNames.flatMap((name) =>
    publicApis(name).map((api) => ({ prefix: `/${api}/`, address: () => addressOf(name) })),
  );
}

export interface PathRouter {
  readonly address: string;
  /** Breaks off what is under way to this address. */
  cut(address: string): void;
  close(): Promise<void>;
}

const grpcCodes = { unimplemented: '12', unavailable: '14' } as const;
const awayMessage = 'the service is away';
const awayTrailers = { 'grpc-status': grpcCodes.unavailable, 'grpc-message': awayMessage };

export interface PathRouterOptions {
  readonly routes: readonly Route[];
  /** Of the services' certificates, PEM. */
  readonly authorityPem: string;
  /** What grpc.health.v1 answers of a service by name, and of all of them together as "". */
  readonly isServing: (service: string) => Promise<boolean>;
}

/**
 * One plaintext port on loopback before several services: what an ingress of a cluster does with its path rules, for
 * the command line, which is given one server. Forwards each call as it is and looks at its path alone.
 */
export async function startPathRouter({
  routes,
  authorityPem,
  isServing,
}: PathRouterOptions): Promise<PathRouter> {
  const sessions = new Map<string, ClientHttp2Session>();
  const incoming = new Set<ServerHttp2Session>();
  const sessionTo = (address: string): ClientHttp2Session => {
    const known = sessions.get(address);
    if (known !== undefined && !known.closed && !known.destroyed) return known;
    const made = connect(`https://${address}`, { ca: authorityPem, servername: 'localhost' });
    // Each of its streams fails with it, which is what callers hear of.
    made.on('error', () => undefined);
    made.on('goaway', () => sessions.delete(address));
    sessions.set(address, made);
    return made;
  };
  const server = createServer();
  server.on('session', (session) => {
    incoming.add(session);
    session.once('close', () => incoming.delete(session));
  });
  server.on('stream', (stream, headers) => {
    const path = headers[':path'] ?? '';
    const route = routes.find(({ prefix }) => path.startsWith(prefix));
    if (path === '/grpc.health.v1.Health/Check') answerHealth(stream, isServing);
    else if (route === undefined) fail(stream, grpcCodes.unimplemented, 'no service has this path');
    else forward(stream, headers, sessionTo(route.address()));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('no port');
  return {
    address: `127.0.0.1:${bound.port}`,
    cut: (upstream) => sessions.get(upstream)?.destroy(),
    close: async () => {
      for (const session of [...sessions.values(), ...incoming]) session.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** HealthCheckRequest has one field, the name; HealthCheckResponse too, 1 for serving and 2 for not. */
function answerHealth(stream: ServerHttp2Stream, isServing: PathRouterOptions['isServing']): void {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('error', () => undefined);
  stream.on('end', () => {
    // Five bytes of framing, then tag and length of the name.
    const service = Buffer.concat(chunks).subarray(7).toString('utf8');
    const answer = async () => {
      const status = (await isServing(service)) ? 1 : 2;
      if (stream.destroyed) return;
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc' },
        { waitForTrailers: true },
      );
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(Buffer.from([0, 0, 0, 0, 2, 8, status]));
    };
    answer().catch(() => fail(stream, grpcCodes.unavailable, 'nobody knows'));
  });
}

function forward(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  session: ClientHttp2Session,
): void {
  const { ':authority': _authority, ':scheme': _scheme, ...kept } = headers;
  const upstream = session.request({ ...kept, ':scheme': 'https' });
  let trailers: IncomingHttpHeaders = {};
  upstream.on('response', (answer, flags) => {
    if (stream.destroyed) return;
    // An answer without a body has its status in its only headers.
    const isWhole = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    stream.respond(answer, isWhole ? { endStream: true } : { waitForTrailers: true });
    if (!isWhole) upstream.pipe(stream);
  });
  upstream.on('trailers', (received) => {
    trailers = received;
  });
  // An answer that breaks off ends as one that says so: a caller tries that again, and not one that was cut.
  stream.on('wantTrailers', () =>
    stream.sendTrailers('grpc-status' in trailers ? trailers : awayTrailers),
  );
  const away = () => {
    if (!stream.headersSent) fail(stream, grpcCodes.unavailable, awayMessage);
    else if (!stream.destroyed && !stream.writableEnded) stream.end();
  };
  upstream.on('error', away);
  upstream.on('close', away);
  stream.on('error', () => upstream.close(constants.NGHTTP2_CANCEL));
  stream.on('aborted', () => upstream.close(constants.NGHTTP2_CANCEL));
  stream.pipe(upstream);
}

function fail(stream: ServerHttp2Stream, code: string, message: string): void {
  if (stream.destroyed) return;
  if (stream.headersSent) {
    stream.close(constants.NGHTTP2_CANCEL);
    return;
  }
  const headers = { ':status': 200, 'content-type': 'application/grpc' };
  stream.respond({ ...headers, 'grpc-status': code, 'grpc-message': message }, { endStream: true });
}
