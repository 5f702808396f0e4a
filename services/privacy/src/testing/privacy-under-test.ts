import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServiceName } from '@lethe/proto/access.ts';
import { authorize } from '@lethe/platform/auth/authorize.ts';
import type { EventLog } from '@lethe/platform/event-log/port.ts';
import { openSqliteEventLog } from '@lethe/platform/event-log/sqlite.ts';
import type { CallContext, Caller, MethodDefinition, Peers } from '@lethe/platform/grpc/handler.ts';
import { createInProcessNetwork } from '@lethe/platform/grpc/in-process.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import type { Service } from '@lethe/platform/lifecycle/service.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { openTestDatabase } from '@lethe/platform/testing/test-database.ts';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import type { Kysely } from 'kysely';
import { createPrivacy } from '../app.ts';
import type { PrivacySchema } from '../schema.ts';
import { createFakeKeys, type FakeKeys } from './fake-keys.ts';
import { createFakeParticipant, type FakeParticipant } from './fake-participant.ts';
import { decodePublished, type PublishedEvent } from './published-events.ts';

const participantNames = ['tickets', 'predictions', 'usage', 'analytics'] as const;
const logger = createLogger({ service: 'privacy', level: 'silent' });

/** What outlives a process of `privacy`, and the services around it. */
export interface PrivacyWorld {
  readonly db: Kysely<PrivacySchema>;
  readonly keys: FakeKeys;
  readonly participants: ReadonlyMap<ServiceName, FakeParticipant>;
  readonly eventLog: EventLog;
  readonly privateJwk: JWK;
  /** Everything on privacy.v1, in order. */
  published(): Promise<PublishedEvent[]>;
  remove(): Promise<void>;
}

export async function createPrivacyWorld(name: string): Promise<PrivacyWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'lethe-privacy-'));
  const eventLog = openSqliteEventLog({
    path: join(folder, 'log.sqlite'),
    partitions: new Map([['privacy.v1', 1]]),
    clock: systemClock,
    logger,
  });
  const pair = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
  return {
    db: await openTestDatabase<PrivacySchema>(name),
    keys: createFakeKeys(),
    participants: new Map(participantNames.map((own) => [own, createFakeParticipant(own)])),
    eventLog,
    privateJwk: await exportJWK(pair.privateKey),
    published: async () => await readAll(eventLog),
    remove: async () => {
      await eventLog.close();
      await rm(folder, { recursive: true });
    },
  };
}

async function readAll(eventLog: EventLog): Promise<PublishedEvent[]> {
  const [end = 0n] = await eventLog.endOffsets('privacy.v1');
  const reader = await eventLog.openReader({
    group: 'test',
    topics: ['privacy.v1'],
    startAt: async () => [0n],
  });
  const events: PublishedEvent[] = [];
  while (BigInt(events.length) < end) {
    const batches = await reader.poll({ recordsMax: 1_000, waitMs: 100 });
    for (const entry of batches.flatMap((batch) => batch.entries)) {
      if (entry.kind !== 'record') throw new RangeError(`privacy.v1 has a ${entry.kind}`);
      events.push(decodePublished(entry.value));
    }
  }
  await reader.close();
  return events;
}

export const officerOf = (tenantId: TenantId): Caller => ({
  kind: 'tenant',
  tenantId,
  subject: 'officer',
  roles: ['privacy-officer'],
});

export const platformAdmin: Caller = {
  kind: 'platform',
  subject: 'admin',
  roles: ['platform-admin'],
};

/** One process of `privacy`, started. */
export interface RunningPrivacy {
  readonly service: Service;
  /** Calls as another service would make them. */
  peersOf(service: ServiceName): Peers;
  /** A call to the public API, with the access table held against the caller, and messages really encoded. */
  call<Request, Response>(
    caller: Caller,
    method: MethodDefinition<Request, Response>,
    request: Request,
  ): Promise<Response>;
  stream<Request, Response>(
    caller: Caller,
    method: MethodDefinition<Request, Response>,
    request: Request,
    signal?: AbortSignal,
  ): AsyncIterable<Response>;
}

export async function startPrivacy(world: PrivacyWorld): Promise<RunningPrivacy> {
  const network = createInProcessNetwork();
  network.register('keys', [world.keys.registration]);
  for (const [name, { registration }] of world.participants) network.register(name, [registration]);
  const service = createPrivacy(
    { compactionBoundMs: 1_000, backupHorizonMs: 2_000 },
    {
      db: world.db,
      eventLog: world.eventLog,
      peers: network.peersFor('privacy'),
      clock: systemClock,
      randomBytes,
      logger,
      signingKey: { privateJwk: world.privateJwk },
    },
  );
  network.register('privacy', service.internalApi);
  await service.start();
  return {
    service,
    peersOf: (name) => network.peersFor(name),
    call: async (caller, method, request) => {
      const found = admit(service, caller, method);
      if (found.kind !== 'unary') throw new RangeError(`${method.path} is not unary`);
      const given = method.requestDeserialize(method.requestSerialize(request));
      const answer = await found.handler(given, contextOf(caller, new AbortController().signal));
      return method.responseDeserialize(found.definition.responseSerialize(answer));
    },
    stream: async function* (caller, method, request, signal = new AbortController().signal) {
      const found = admit(service, caller, method);
      if (found.kind !== 'serverStream') throw new RangeError(`${method.path} is no stream`);
      const given = method.requestDeserialize(method.requestSerialize(request));
      for await (const answer of found.handler(given, contextOf(caller, signal))) {
        yield method.responseDeserialize(found.definition.responseSerialize(answer));
      }
    },
  };
}

const contextOf = (caller: Caller, signal: AbortSignal): CallContext => ({ caller, signal });

function admit(service: Service, caller: Caller, method: { readonly path: string }) {
  authorize(method.path, caller);
  const found = service.publicApi
    .flatMap(({ methods }) => methods)
    .find(({ definition }) => definition.path === method.path);
  if (found === undefined) throw new RangeError(`${method.path} is not public`);
  return found;
}
