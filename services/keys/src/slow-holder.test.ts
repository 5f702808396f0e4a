import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  Client,
  credentials,
  Metadata,
  type ServiceError as GrpcError,
  status,
} from '@grpc/grpc-js';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { RegisteredMethod, ServerStreamHandler } from '@lethe/platform/grpc/handler.ts';
import { internalLimits } from '@lethe/platform/grpc/limits.ts';
import { createGrpcServer, listenPlaintext, stopGrpcServer } from '@lethe/platform/grpc/server.ts';
import type { ErasureId, TenantId, Token } from '@lethe/platform/ids/ids.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { createHandClock, type HandClock } from '@lethe/platform/testing/hand-clock.ts';
import { until } from '@lethe/platform/testing/until.ts';
import type { ServiceName } from '@lethe/proto/access.ts';
import { KeyServiceService } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { createHolders, type Holders } from './holders.ts';
import type { KeysContext } from './rpc/context.ts';
import { watchRevocationsHandler } from './rpc/watch-revocations.ts';

const leaseTtlMs = 30_000;
const erasures = 2_000;
const { watchRevocations } = KeyServiceService;
const erasureIdOf = (index: number) => `erasure ${index}` as ErasureId;
const someScopes = Array.from({ length: 20 }, () => ({
  scope: { kind: 'person', token: 'ab'.repeat(16) as Token } as const,
  incarnation: 1,
}));

describe('a holder that stops reading its revocations', () => {
  let clock: HandClock;
  let holders: Holders;
  let address = '';
  let stop: () => Promise<void>;
  const clients: Client[] = [];
  beforeEach(async () => {
    clock = createHandClock();
    holders = createHolders({ clock, leaseTtlMs, formerLeasesMs: 0 });
    const handler = watchRevocationsHandler({ holders } as KeysContext);
    const method: RegisteredMethod = {
      kind: 'serverStream',
      definition: watchRevocations as RegisteredMethod['definition'],
      handler: handler as ServerStreamHandler<unknown, unknown>,
    };
    const server = createGrpcServer({
      registrations: [{ serviceName: 'lethe.keys.v1.KeyService', methods: [method] }],
      callers: {
        by: 'token',
        verifyToken: async (token) => ({ kind: 'service', service: token as ServiceName }),
      },
      logger: createLogger({ service: 'test', level: 'silent' }),
      limits: { ...internalLimits, slowReaderMs: 200 },
    });
    address = `127.0.0.1:${await listenPlaintext(server, '127.0.0.1', 0)}`;
    stop = async () => await stopGrpcServer(server, 100);
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await stop();
  });

  const watch = (service: ServiceName) => {
    const client = new Client(address, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
    });
    clients.push(client);
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${service}`);
    return client.makeServerStreamRequest(
      watchRevocations.path,
      watchRevocations.requestSerialize,
      watchRevocations.responseDeserialize,
      { holderId: 'one' },
      metadata,
    );
  };

  it('is cut off, delays no erasure beyond its leases and no other holder at all', async () => {
    const [deaf, quick] = [watch('tickets'), watch('usage')];
    const failure = once(deaf, 'error') as Promise<[GrpcError]>;
    await Promise.all([once(deaf, 'data'), once(quick, 'data')]);
    deaf.pause();
    let taken = 0;
    quick.on('error', () => undefined);
    quick.on('data', ({ revocationId }: { revocationId: bigint }) => {
      holders.acknowledge({ service: 'usage', holderId: 'one' }, revocationId);
      taken += 1;
    });
    holders.noteLease({ service: 'tickets', holderId: 'one' });
    holders.noteLease({ service: 'usage', holderId: 'one' });
    for (let index = 0; index < erasures; index += 1) {
      holders.revoke({
        tenantId: 'acme' as TenantId,
        erasureId: erasureIdOf(index),
        scopes: someScopes,
      });
    }
    await until(() => taken === erasures);

    // It gets no lease any more, so that what it still holds ends with the term of its last one.
    await until(() => isRefused(holders));
    const last = erasureIdOf(erasures - 1);
    clock.advance(leaseTtlMs - 1);
    assert.deepEqual(holders.unreadable(last), { kind: 'waiting', holders: 1 });
    clock.advance(1);
    for (let index = 0; index < erasures; index += 1) {
      assert.equal(holders.unreadable(erasureIdOf(index))?.kind, 'since');
    }
    deaf.resume();
    const [error] = await failure;
    assert.equal(error.code, status.RESOURCE_EXHAUSTED);
  });
});

function isRefused(holders: Holders): boolean {
  try {
    holders.noteLease({ service: 'tickets', holderId: 'one' });
    return false;
  } catch (error) {
    return error instanceof ServiceError && error.reason === 'HOLDER_UNREGISTERED';
  }
}
