import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { connect, type ConnectionOptions } from 'node:tls';
import type { Server } from '@grpc/grpc-js';
import type { ServiceName } from '@lethe/proto/access.ts';
import { SequenceServiceService } from '@lethe/proto/gen/lethe/log/v1/service.ts';
import { failureFields, failureText } from '../errors/failure.ts';
import { ServiceError } from '../errors/service-error.ts';
import { type Clock, systemClock } from '../lifecycle/clock.ts';
import { createLogger } from '../log/logger.ts';
import {
  type CertificateAuthority,
  type CertificateWish,
  createCertificateAuthority,
} from '../testing/certificate-authority.ts';
import { createHandClock } from '../testing/hand-clock.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../testing/temporary-folder.ts';
import { identityOf } from '../tls/service-identity.ts';
import { openTlsSource, type TlsSource } from '../tls/tls-source.ts';
import { type Channels, openChannels } from './channel.ts';
import { type NetworkSubject, peersContract } from '../testing/contract-peers.ts';
import type { Peer, ServiceRegistration } from './handler.ts';
import { registerService } from './register.ts';
import { ReloadingServerCredentials } from './server-credentials.ts';
import { createGrpcServer, listen, listenPlaintext, stopGrpcServer } from './server.ts';

const logger = createLogger({ service: 'test', level: 'silent' });
const sleep: Clock['sleep'] = async (durationMs, signal) => systemClock.sleep(durationMs, signal);
const { missing } = SequenceServiceService;
const request = { topic: 'tickets.v1', partition: 0, fromSequence: 3n, toSequence: 5n };
const sequences = registerService(SequenceServiceService, {
  missing: async () => ({ erased: [] }),
  heads: async () => Promise.reject(new ServiceError('INTERNAL_DEFECT')),
});

/** Files of certificates, ports and connections that end together. */
function createTlsWorld(authority: CertificateAuthority) {
  const folder: TemporaryFolder = createTemporaryFolder('tls');
  const ends: (() => Promise<void> | void)[] = [];
  let files = 0;
  const write = (wish: CertificateWish, by = authority, trusts = authority) => {
    files += 1;
    const at = (name: string) => path.join(folder.path, `${files}-${name}.pem`);
    const { certificate, privateKey } = by.issue(wish);
    writeFileSync(at('certificate'), certificate);
    writeFileSync(at('key'), privateKey);
    writeFileSync(at('authority'), trusts.certificate);
    return {
      certificateFile: at('certificate'),
      privateKeyFile: at('key'),
      authorityFile: at('authority'),
    };
  };
  const open = (tlsFiles: ReturnType<typeof write>, clock = systemClock): TlsSource => {
    const source = openTlsSource({ files: tlsFiles, clock, logger });
    ends.push(async () => await source.stop());
    return source;
  };
  const ofService = (service: ServiceName) => write({ uris: [identityOf(service)] });
  const serve = async (
    source: TlsSource,
    registrations: readonly ServiceRegistration[] = [sequences],
    port = 0,
    clock = systemClock,
  ) => {
    const server: Server = createGrpcServer({
      registrations,
      callers: { by: 'certificate', clock },
      logger,
    });
    const credentials = new ReloadingServerCredentials(source, true);
    ends.push(async () => {
      await stopGrpcServer(server, 50);
      credentials.close();
    });
    return await listen(server, '127.0.0.1', port, credentials);
  };
  const peerAt = (
    port: number,
    tls: TlsSource,
    service: ServiceName = 'tickets',
    clock: Clock = systemClock,
  ): Peer => {
    const addresses = new Map([[service, `127.0.0.1:${port}`]]);
    const channels: Channels = openChannels({ addresses, tls, clock });
    ends.push(() => channels.close());
    return channels.peers(service);
  };
  const close = async () => {
    for (const end of ends.toReversed()) await end();
    folder.remove();
  };
  return { write, open, ofService, serve, peerAt, close };
}

type TlsWorld = ReturnType<typeof createTlsWorld>;

const hasReason = (reason: string, words?: RegExp) => (error: unknown) => {
  assert.ok(error instanceof ServiceError, String(error));
  assert.equal(error.reason, reason, error.message);
  if (words !== undefined) assert.match(failureText(error), words);
  return true;
};

const authority = createCertificateAuthority();
const strangers = createCertificateAuthority('Another authority');

peersContract('gRPC with mutual TLS', async (): Promise<NetworkSubject> => {
  const world = createTlsWorld(authority);
  const ports = new Map<ServiceName, number>();
  // Taken before anybody serves, as callers are told addresses and not when somebody is there.
  for (const service of ['tickets', 'keys'] as const) ports.set(service, await freePort());
  const channels: Channels[] = [];
  return {
    serve: async (service, registrations) => {
      await world.serve(world.open(world.ofService(service)), registrations, ports.get(service));
    },
    peersFor: async (caller) => {
      const addresses = new Map(Array.from(ports, ([name, port]) => [name, `127.0.0.1:${port}`]));
      const tls = world.open(world.ofService(caller));
      const opened = openChannels({ addresses, tls, clock: systemClock });
      channels.push(opened);
      return opened.peers;
    },
    close: async () => {
      for (const each of channels) each.close();
      await world.close();
    },
  };
});

async function freePort(): Promise<number> {
  const server = createGrpcServer({
    registrations: [],
    callers: { by: 'certificate', clock: systemClock },
    logger,
  });
  const port = await listenPlaintext(server, '127.0.0.1', 0);
  await stopGrpcServer(server, 0);
  return port;
}

describe('an internal port', () => {
  let world: TlsWorld;
  beforeEach(() => {
    world = createTlsWorld(authority);
  });
  afterEach(async () => {
    await world.close();
  });
  const call = async (port: number, tls: TlsSource, service?: ServiceName) =>
    await world.peerAt(port, tls, service).unary(missing, request, { timeoutMs: 10_000 });
  const hourMs = 3_600_000;

  it('takes a service by the name in its certificate, wherever it runs', async () => {
    const port = await world.serve(world.open(world.ofService('tickets')));
    await call(port, world.open(world.ofService('analytics')));
  });

  it('tells the log, not the caller, at which address a service is not to be reached', async () => {
    const port = await freePort();
    const away = await call(port, world.open(world.ofService('analytics'))).catch(
      (error: unknown) => error,
    );
    assert.ok(away instanceof ServiceError);
    assert.equal(away.reason, 'SERVICE_UNAVAILABLE');
    assert.equal(away.message, 'The service tickets cannot be reached.');
    assert.match(failureFields(away).problem ?? '', new RegExp(`:${port}`));
    const outer = new ServiceError('KEYS_UNAVAILABLE', undefined, { cause: away });
    assert.match(failureFields(outer).problem ?? '', new RegExp(`:${port}`));
  });

  it('refuses a caller of another authority, and says so', async () => {
    const port = await world.serve(world.open(world.ofService('tickets')));
    // It trusts the server; the server does not trust it.
    const files = world.write({ uris: [identityOf('analytics')] }, strangers);
    const tls = withoutCheck(files);
    await assert.rejects(
      call(port, tls),
      hasReason('CERTIFICATE_REFUSED', /tickets refuses the certificate of this one/),
    );
  });

  it('refuses a caller whose certificate has expired, in the handshake or since', async () => {
    const serverClock = createHandClock(Date.now(), sleep);
    const port = await world.serve(
      world.open(world.ofService('tickets')),
      [sequences],
      0,
      serverClock,
    );
    const expired = world.write({
      uris: [identityOf('analytics')],
      validFromMs: Date.now() - 2 * hourMs,
      validToMs: Date.now() - hourMs,
    });
    await assert.rejects(call(port, withoutCheck(expired)), hasReason('CERTIFICATE_REFUSED'));
    const peer = world.peerAt(port, world.open(world.ofService('analytics')));
    await peer.unary(missing, request);
    serverClock.advance(25 * hourMs);
    await assert.rejects(peer.unary(missing, request), hasReason('CERTIFICATE_REFUSED', /expired/));
  });

  it('refuses a certificate that names no service, and one that names two', async () => {
    const port = await world.serve(world.open(world.ofService('tickets')));
    const wishes: CertificateWish[] = [
      { dnsNames: ['analytics'] },
      { uris: [identityOf('analytics'), identityOf('keys')] },
      { uris: ['spiffe://elsewhere/analytics'] },
      { dnsNames: ['a, URI:spiffe://lethe/analytics, b'] },
    ];
    for (const wish of wishes) {
      const tls = world.open(world.write(wish));
      await assert.rejects(call(port, tls), hasReason('CERTIFICATE_REFUSED', /does not name one/));
    }
  });

  it('refuses a service that may not call the method, by its name', async () => {
    const port = await world.serve(world.open(world.ofService('tickets')));
    const tls = world.open(world.ofService('privacy'));
    await assert.rejects(call(port, tls), hasReason('SERVICES_ONLY', /privacy/));
  });

  it('is not taken for another service, nor with a certificate of another authority', async () => {
    const tls = world.open(world.ofService('analytics'));
    const usage = await world.serve(world.open(world.ofService('usage')));
    await assert.rejects(call(usage, tls), hasReason('CERTIFICATE_REFUSED', /of usage, not/));
    const foreign = world.write({ uris: [identityOf('tickets')] }, strangers, strangers);
    const port = await world.serve(world.open(foreign));
    await assert.rejects(call(port, tls), hasReason('CERTIFICATE_REFUSED'));
  });

  it('speaks TLS 1.3, takes 1.2, and nothing older', async () => {
    const files = world.ofService('tickets');
    const port = await world.serve(world.open(files));
    const protocolOf = async (options: ConnectionOptions) =>
      await new Promise((resolve, reject) => {
        const ca = readFileSync(files.authorityFile);
        const checkServerIdentity = () => undefined;
        const socket = connect({
          port,
          ca,
          checkServerIdentity,
          ALPNProtocols: ['h2'],
          ...options,
        });
        socket.once('secureConnect', () => {
          resolve(socket.getProtocol());
          socket.destroy();
        });
        socket.once('error', reject);
      });
    assert.equal(await protocolOf({}), 'TLSv1.3');
    assert.equal(await protocolOf({ maxVersion: 'TLSv1.2' }), 'TLSv1.2');
    const old: ConnectionOptions = {
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    };
    await assert.rejects(protocolOf(old), /alert protocol version/);
    // OpenSSL's own level refuses it too, so that the floor is looked at by itself.
    const own = new ReloadingServerCredentials(world.open(files), true);
    assert.equal(own._getSecureContextOptions()?.minVersion, 'TLSv1.2');
    own.close();
  });
});

describe('a call to a service that restarts', () => {
  let world: TlsWorld;
  beforeEach(() => {
    world = createTlsWorld(authority);
  });
  afterEach(async () => {
    await world.close();
  });

  it('is made again once it is back, and comes through', async () => {
    const port = await freePort();
    const starting = Promise.withResolvers<void>();
    let pauses = 0;
    const clock: Clock = {
      ...systemClock,
      sleep: async () => {
        pauses += 1;
        if (pauses === 1) starting.resolve();
        // The connection has its own time until it is tried again.
        await systemClock.sleep(500);
      },
    };
    const serving = starting.promise.then(async () => {
      await world.serve(world.open(world.ofService('tickets')), [sequences], port);
    });
    const peer = world.peerAt(port, world.open(world.ofService('analytics')), 'tickets', clock);
    assert.deepEqual(await peer.unary(missing, request), { erased: [] });
    await serving;
    assert.ok(pauses > 0);
  });
});

describe('TLS files that are replaced under a port', () => {
  let world: TlsWorld;
  beforeEach(() => {
    world = createTlsWorld(authority);
  });
  afterEach(async () => {
    await world.close();
  });

  it('are shown to new connections, and cut none that stands', async () => {
    const files = world.ofService('tickets');
    const source = world.open(files);
    const port = await world.serve(source);
    const tls = world.open(world.ofService('analytics'));
    const standing = world.peerAt(port, tls);
    await standing.unary(missing, request);
    const before = await shownAt(port);
    replace(files, world.ofService('tickets'));
    source.check();
    assert.notEqual(await shownAt(port), before);
    await standing.unary(missing, request);
    await world.peerAt(port, tls).unary(missing, request);
  });

  it('that are wrong leave the port as it was', async () => {
    const files = world.ofService('tickets');
    const source = world.open(files);
    const port = await world.serve(source);
    const before = await shownAt(port);
    writeFileSync(files.certificateFile, 'rubbish');
    source.check();
    assert.equal(await shownAt(port), before);
    const tls = world.open(world.ofService('analytics'));
    await world.peerAt(port, tls).unary(missing, request);
  });

  it('bring a new authority on both sides without a call lost', async () => {
    const server = world.ofService('tickets');
    const client = world.ofService('analytics');
    const [served, calling] = [world.open(server), world.open(client)];
    const port = await world.serve(served);
    const call = async () => {
      await world.peerAt(port, calling).unary(missing, request);
    };
    await call();
    for (const { authorityFile } of [server, client]) {
      writeFileSync(authorityFile, authority.certificate + strangers.certificate);
    }
    for (const source of [served, calling]) source.check();
    await call();
    replace(client, world.write({ uris: [identityOf('analytics')] }, strangers));
    writeFileSync(client.authorityFile, authority.certificate + strangers.certificate);
    calling.check();
    await call();
  });
});

function replace(files: Files, by: Files): void {
  for (const name of ['certificateFile', 'privateKeyFile', 'authorityFile'] as const) {
    copyFileSync(by[name], files[name]);
  }
}

/** The certificate that a new connection is shown. */
async function shownAt(port: number): Promise<string> {
  return await new Promise((resolve, reject) => {
    const socket = connect({ port, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    socket.once('secureConnect', () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

interface Files {
  readonly certificateFile: string;
  readonly privateKeyFile: string;
  readonly authorityFile: string;
}

/** As a caller that does not look at its own files. */
function withoutCheck(files: Files): TlsSource {
  const material = {
    certificate: readFileSync(files.certificateFile),
    privateKey: readFileSync(files.privateKeyFile),
    authority: readFileSync(files.authorityFile),
    expiresMs: Infinity,
  };
  return {
    current: () => material,
    onChange: () => () => undefined,
    check: () => undefined,
    warning: () => undefined,
    problem: () => undefined,
    stop: async () => undefined,
  };
}
