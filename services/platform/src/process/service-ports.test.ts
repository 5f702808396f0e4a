import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import {
  Client,
  credentials,
  Metadata,
  status,
  type ServiceError as GrpcError,
} from '@grpc/grpc-js';
import { exportSPKI, generateKeyPair, SignJWT } from 'jose';
import type { ServiceName } from '@lethe/proto/access.ts';
import { KeyServiceService } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { UsageServiceService } from '@lethe/proto/gen/lethe/usage/v1/service.ts';
import { SequenceServiceService } from '@lethe/proto/gen/lethe/log/v1/service.ts';
import { openChannels } from '../grpc/channel.ts';
import { publicLimits } from '../grpc/limits.ts';
import type { MethodDefinition } from '../grpc/handler.ts';
import { registerService } from '../grpc/register.ts';
import { systemClock } from '../lifecycle/clock.ts';
import type { Service } from '../lifecycle/service.ts';
import { createLogger } from '../log/logger.ts';
import { createCertificateAuthority } from '../testing/certificate-authority.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../testing/temporary-folder.ts';
import { until } from '../testing/until.ts';
import { identityOf } from '../tls/service-identity.ts';
import { openTlsSource, type TlsSource } from '../tls/tls-source.ts';
import { openServicePorts, type ServicePorts } from './service-ports.ts';
import { refusingKeys } from '../testing/refusing-keys.ts';

const logger = createLogger({ service: 'test', level: 'silent' });
const authority = createCertificateAuthority();
const issuer = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
const { heads, missing } = SequenceServiceService;
const { appendUsageEvents, streamUsageEvents } = UsageServiceService;
const nothingMissing = { topic: 'usage.v1', partition: 0, fromSequence: 1n, toSequence: 1n };

describe('the ports of a service', () => {
  let folder: TemporaryFolder;
  let ports: ServicePorts;
  let sources: TlsSource[];
  let clients: { close(): void }[];
  /** Calls that are in a handler. */
  let inside: number;
  let release: PromiseWithResolvers<void>;
  let problem: string | undefined;

  const service = (): Service => ({
    publicApi: [
      registerService(UsageServiceService, {
        appendUsageEvents: async () => ({ results: [] }),
        streamUsageEvents: async function* (requests) {
          for await (const _request of requests) yield { results: [] };
        },
      }),
    ],
    internalApi: [
      registerService(SequenceServiceService, {
        missing: async () => ({ erased: [] }),
        heads: async () => {
          inside += 1;
          await release.promise;
          return { heads: [], asOf: undefined };
        },
      }),
      registerService(KeyServiceService, {
        ...refusingKeys,
        watchRevocations: async function* (_request, { signal }) {
          yield { revocationId: 0n, tenantId: '', scopes: [] };
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
        },
      }),
    ],
    start: async () => undefined,
    stop: async () => undefined,
    problem: () => problem,
  });
  const source = (name: ServiceName): TlsSource => {
    const at = (what: string) => path.join(folder.path, `${name}-${what}`);
    const issued = authority.issue({ uris: [identityOf(name)], dnsNames: ['localhost'] });
    writeFileSync(at('certificate'), issued.certificate);
    writeFileSync(at('key'), issued.privateKey);
    writeFileSync(at('authority'), authority.certificate);
    const files = {
      certificateFile: at('certificate'),
      privateKeyFile: at('key'),
      authorityFile: at('authority'),
    };
    const opened = openTlsSource({ files, clock: systemClock, logger });
    sources.push(opened);
    return opened;
  };
  /** A client with a certificate of `name`, or without one. */
  const clientAt = (port: number | undefined, name?: ServiceName): Client => {
    const of = name === undefined ? undefined : source(name).current();
    const ca = Buffer.from(authority.certificate);
    const tls = credentials.createSsl(ca, of?.privateKey ?? null, of?.certificate ?? null);
    const client = new Client(`localhost:${port}`, tls);
    clients.push(client);
    return client;
  };
  const call = async <Q, A>(
    client: Client,
    { path: method, requestSerialize, responseDeserialize }: MethodDefinition<Q, A>,
    request: Q,
    metadata = new Metadata(),
  ) =>
    await new Promise<A | undefined>((resolve, reject) => {
      client.makeUnaryRequest(
        method,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        (error, answer) => (error === null ? resolve(answer) : reject(error)),
      );
    });
  const tokenOf = async (): Promise<Metadata> => {
    const nowS = Math.floor(Date.now() / 1000);
    const token = await new SignJWT({ roles: ['writer'], tenant: 'acme' })
      .setProtectedHeader({ alg: 'EdDSA' })
      .setSubject('me')
      .setIssuer('issuer')
      .setAudience('lethe')
      .setIssuedAt(nowS)
      .setExpirationTime(nowS + 600)
      .sign(issuer.privateKey);
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${token}`);
    return metadata;
  };
  const hasCode = (code: status, words?: RegExp) => (error: unknown) => {
    const { code: found, details } = error as GrpcError;
    assert.equal(found, code, String(error));
    if (words !== undefined) assert.match(details, words);
    return true;
  };

  beforeEach(async () => {
    folder = createTemporaryFolder('ports');
    sources = [];
    clients = [];
    inside = 0;
    problem = undefined;
    release = Promise.withResolvers();
    const publicKeyFile = path.join(folder.path, 'issuer.pem');
    writeFileSync(publicKeyFile, await exportSPKI(issuer.publicKey));
    const tls = source('usage');
    const at = { host: '127.0.0.1', port: 0 };
    ports = await openServicePorts({
      name: 'usage',
      service: service(),
      internal: at,
      internalTls: tls,
      publicPort: {
        ...at,
        limits: publicLimits,
        tls: undefined,
        tokens: {
          issuer: 'issuer',
          audience: 'lethe',
          algorithms: ['EdDSA'],
          keys: { kind: 'public-key-file', file: publicKeyFile },
        },
      },
      publicTls: tls,
      clock: systemClock,
      logger,
    });
  });
  afterEach(async () => {
    for (const client of clients) client.close();
    release.resolve();
    await ports.drain(0);
    for (const each of sources) await each.stop();
    folder.remove();
  });
  const peersOf = (name: ServiceName) => {
    const addresses = new Map([['usage' as const, `localhost:${ports.internalPort}`]]);
    const channels = openChannels({ addresses, tls: source(name), clock: systemClock });
    clients.push(channels);
    return channels.peers('usage');
  };

  it('know callers outside by token alone, and inside by certificate alone', async () => {
    const events = { events: [] };
    const stranger = clientAt(ports.publicPort);
    assert.ok(await call(stranger, appendUsageEvents, events, await tokenOf()));
    const withCertificate = call(
      clientAt(ports.publicPort, 'analytics'),
      appendUsageEvents,
      events,
    );
    await assert.rejects(withCertificate, hasCode(status.UNAUTHENTICATED, /no access token/));
    const withToken = call(clientAt(ports.internalPort), missing, nothingMissing, await tokenOf());
    await assert.rejects(withToken, hasCode(status.UNAUTHENTICATED, /no certificate/));
    assert.ok(await call(clientAt(ports.internalPort, 'analytics'), missing, nothingMissing));
  });

  it('have the public API outside alone, and the internal one inside alone', async () => {
    const outside = call(clientAt(ports.publicPort, 'analytics'), missing, nothingMissing);
    await assert.rejects(outside, hasCode(status.UNIMPLEMENTED));
    const inner = clientAt(ports.internalPort, 'analytics');
    const within = call(inner, appendUsageEvents, { events: [] }, await tokenOf());
    await assert.rejects(within, hasCode(status.UNIMPLEMENTED));
  });

  it('finish calls in flight, end what would not end, and refuse new calls when they drain', async () => {
    const peer = peersOf('analytics');
    const running = peer.unary(heads, { topic: 'usage.v1' });
    const watching = (async () => {
      const watch = { holderId: 'one' };
      for await (const _ of peer.serverStream(KeyServiceService.watchRevocations, watch))
        inside += 1;
    })();
    const sender = clientAt(ports.publicPort);
    const stream = sender.makeBidiStreamRequest(
      streamUsageEvents.path,
      streamUsageEvents.requestSerialize,
      streamUsageEvents.responseDeserialize,
      await tokenOf(),
    );
    const ended = new Promise<GrpcError>((resolve) => stream.once('error', resolve));
    stream.on('data', () => (inside += 1));
    stream.write({ events: [] });
    await until(() => inside === 3);
    const draining = ports.drain(20_000);
    await assert.rejects(watching, { reason: 'SHUTTING_DOWN' });
    hasCode(status.UNAVAILABLE, /stopping/)(await ended);
    const fresh = peersOf('analytics').unary(missing, nothingMissing, { timeoutMs: 5_000 });
    await assert.rejects(fresh, { reason: 'SERVICE_UNAVAILABLE' });
    release.resolve();
    assert.deepEqual(await running, { heads: [], asOf: undefined });
    await draining;
  });

  it('cut what does not end within the time', async () => {
    const running = peersOf('analytics').unary(heads, { topic: 'usage.v1' });
    const refused = assert.rejects(running, { reason: 'SERVICE_UNAVAILABLE' });
    await until(() => inside > 0);
    await ports.drain(50);
    await refused;
  });

  /** grpc.health.v1: 1 is SERVING, 2 is NOT_SERVING. */
  const same = (bytes: Buffer) => bytes;
  const aboutService = (name: string) => Buffer.from([0x0a, name.length, ...Buffer.from(name)]);
  const check = async (name: string): Promise<number | undefined> => {
    const method = {
      path: '/grpc.health.v1.Health/Check',
      requestStream: false,
      responseStream: false,
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    };
    const answer = await call(clientAt(ports.publicPort), method, aboutService(name));
    return answer?.at(1);
  };
  /** What somebody hears who watches, from the first answer on. */
  const watch = async (name: string): Promise<readonly (number | undefined)[]> => {
    const heard: (number | undefined)[] = [];
    const path = '/grpc.health.v1.Health/Watch';
    const client = clientAt(ports.publicPort);
    const stream = client.makeServerStreamRequest(path, same, same, aboutService(name));
    stream.on('data', (answer: Buffer) => heard.push(answer.at(1)));
    stream.on('error', () => undefined);
    await until(() => heard.length > 0);
    return heard;
  };

  it('say of themselves what grpc.health.v1 asks, without a token', async () => {
    assert.deepEqual([await check(''), await check('usage')], [1, 1]);
    problem = 'partition usage.v1/0 stopped';
    await until(async () => (await check('usage')) === 2);
    assert.equal(await check(''), 1);
  });

  it('say that they are not ready before they drain, and serve on', async () => {
    const heard = await watch('');
    ports.unready();
    assert.deepEqual([await check(''), await check('usage')], [2, 2]);
    await until(() => heard.length === 2);
    assert.deepEqual(heard, [1, 2]);
    assert.ok(await call(clientAt(ports.internalPort, 'analytics'), missing, nothingMissing));
    // Longer than it takes to look at the service's problems anew.
    await systemClock.sleep(1_500);
    assert.deepEqual([await check(''), await check('usage')], [2, 2]);
  });

  it('say so to who watches when they drain at once', async () => {
    const heard = [await watch(''), await watch('usage')];
    await ports.drain(500);
    assert.deepEqual(heard, [
      [1, 2],
      [1, 2],
    ]);
  });

  it('say that a port is taken', async () => {
    const again = { host: '127.0.0.1', port: ports.internalPort };
    const opening = openServicePorts({
      name: 'usage',
      service: service(),
      internal: again,
      internalTls: source('keys'),
      publicPort: undefined,
      publicTls: undefined,
      clock: systemClock,
      logger,
    });
    await assert.rejects(opening, { reason: 'PORT_IN_USE' });
  });
});
