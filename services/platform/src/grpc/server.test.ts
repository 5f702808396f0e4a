import assert from 'node:assert/strict';
import { once } from 'node:events';
import { credentials, Metadata, status, type ServiceError as GrpcError } from '@grpc/grpc-js';
import { generateKeyPair, SignJWT, type CryptoKey } from 'jose';
import {
  NewTicketEvent,
  TicketServiceClient,
  TicketServiceService,
  type GetTicketResponse,
  type StreamTicketEventsResponse,
} from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { BadRequest, ErrorInfo, Status } from '@lethe/proto/gen/google/rpc/error_details.ts';
import type { Role } from '@lethe/proto/access.ts';
import { createAccessTokenVerifier } from '../auth/access-token.ts';
import { ServiceError } from '../errors/service-error.ts';
import { systemClock } from '../lifecycle/clock.ts';
import { createLogger } from '../log/logger.ts';
import { requireTenant } from './caller.ts';
import { registerService } from './register.ts';
import { createGrpcServer, listenPlaintext, stopGrpcServer } from './server.ts';
import { statusDetailsTrailer } from './status-details.ts';

const issuer = 'test-issuer';
const audience = 'lethe';
const keys = await generateKeyPair('EdDSA', { crv: 'Ed25519' });
const strangers = await generateKeyPair('EdDSA', { crv: 'Ed25519' });

interface TokenClaims {
  readonly tenant?: string;
  readonly roles?: readonly Role[];
  readonly lifetimeS?: number;
  readonly issuedS?: number;
  readonly key?: CryptoKey;
  readonly aud?: string;
  readonly iss?: string;
}

async function tokenOf(claims: TokenClaims): Promise<string> {
  const issuedS = claims.issuedS ?? Math.floor(Date.now() / 1000);
  const body = {
    roles: claims.roles ?? ['reader', 'writer'],
    ...(claims.tenant === undefined ? {} : { tenant: claims.tenant }),
  };
  return await new SignJWT(body)
    .setProtectedHeader({ alg: 'EdDSA' })
    .setSubject('user-1')
    .setIssuer(claims.iss ?? issuer)
    .setAudience(claims.aud ?? audience)
    .setIssuedAt(issuedS)
    .setExpirationTime(issuedS + (claims.lifetimeS ?? 600))
    .sign(claims.key ?? keys.privateKey);
}

const registration = registerService(TicketServiceService, {
  appendTicketEvents: async () => {
    throw new Error('ada.example@mail.invalid broke the parser');
  },
  streamTicketEvents: async function* (requests) {
    for await (const request of requests) {
      if (request.events.length > 0) throw new ServiceError('TENANT_UNKNOWN');
      yield { results: [] };
    }
  },
  getTicket: async (_request, call) => ({
    ticket: {
      ...emptyTicket,
      ticketToken: requireTenant(call),
    },
  }),
  listTickets: async () => {
    throw new ServiceError('INVALID_FIELDS', 'One field breaks a rule.', {
      violations: [{ field: 'page_size', description: 'is at most 200' }],
    });
  },
  getTranscript: async () => ({ ticketToken: '', entries: [] }),
});

const emptyTicket = {
  ticketToken: '',
  status: 0,
  dimensions: undefined,
  openedAt: undefined,
  updatedAt: undefined,
  firstRepliedAt: undefined,
  solvedAt: undefined,
  replies: 0,
  reopens: 0,
  events: 0n,
  requesterToken: '',
  subject: '',
  requesterName: '',
  requesterErased: false,
} as const;

describe('the gRPC server', () => {
  const logged: string[] = [];
  const server = createGrpcServer({
    registrations: [registration],
    callers: {
      by: 'token',
      verifyToken: createAccessTokenVerifier(
        { issuer, audience, verificationKey: keys.publicKey, algorithms: ['EdDSA'] },
        systemClock,
      ),
    },
    logger: createLogger({
      service: 'test',
      level: 'info',
      destination: { write: (line) => void logged.push(line) },
    }),
  });
  let port = 0;
  let client: TicketServiceClient;

  before(async () => {
    port = await listenPlaintext(server, '127.0.0.1', 0);
    client = new TicketServiceClient(`127.0.0.1:${port}`, credentials.createInsecure());
  });
  after(async () => {
    client.close();
    await stopGrpcServer(server, 1000);
  });

  const metadataOf = (token?: string) => {
    const metadata = new Metadata();
    if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
    return metadata;
  };
  const getTicket = async (token?: string) =>
    await new Promise<GetTicketResponse>((resolve, reject) => {
      const request = { ticket: { $case: 'ticketId', value: 'T-1' } } as const;
      client.getTicket(request, metadataOf(token), (error, response) =>
        error === null ? resolve(response) : reject(error),
      );
    });
  const refusal = async (call: Promise<unknown>) => {
    const error = await call.then(
      () => assert.fail('the call was answered'),
      (reason: unknown) => reason as GrpcError,
    );
    return { code: error.code, ...detailsOf(error), message: error.details };
  };

  it('takes the tenant from the token and from nowhere else', async () => {
    const answer = await getTicket(await tokenOf({ tenant: 'acme' }));
    assert.equal(answer.ticket?.ticketToken, 'acme');
  });

  const inTenHoursS = Math.floor(Date.now() / 1000) + 36_000;
  const wrongTokens: [string, TokenClaims | undefined, string][] = [
    ['no token', undefined, 'TOKEN_MISSING'],
    ['another issuer', { tenant: 'acme', iss: 'other' }, 'TOKEN_INVALID'],
    ['another audience', { tenant: 'acme', aud: 'other' }, 'TOKEN_INVALID'],
    ['a stranger’s signature', { tenant: 'acme', key: strangers.privateKey }, 'TOKEN_INVALID'],
    ['a malformed tenant', { tenant: 'ACME corp' }, 'TOKEN_INVALID'],
    ['an expired token', { tenant: 'acme', issuedS: 1_600_000_000 }, 'TOKEN_EXPIRED'],
    ['a token of more than an hour', { tenant: 'acme', lifetimeS: 3601 }, 'TOKEN_EXPIRED'],
    ['a token from the future', { tenant: 'acme', issuedS: inTenHoursS }, 'TOKEN_EXPIRED'],
    ['no reading role', { tenant: 'acme', roles: ['writer'] }, 'ROLE_REQUIRED'],
    ['no tenant', { roles: ['reader'] }, 'TENANT_REQUIRED'],
  ];
  for (const [name, claims, reason] of wrongTokens) {
    it(`refuses ${name} with ${reason}`, async () => {
      const token = claims === undefined ? undefined : await tokenOf(claims);
      assert.equal((await refusal(getTicket(token))).reason, reason);
    });
  }

  it('refuses an unsigned token', async () => {
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
    const claims = { sub: 'x', tenant: 'acme', roles: ['reader'], iss: issuer, aud: audience };
    const token = `${encode({ alg: 'none' })}.${encode({ ...claims, iat: 1, exp: 9e9 })}.`;
    assert.equal((await refusal(getTicket(token))).reason, 'TOKEN_INVALID');
  });

  const raw = async (path: string, bytes: Buffer, token?: string) =>
    await new Promise((resolve, reject) => {
      const same = (value: Buffer) => value;
      client.makeUnaryRequest(path, same, same, bytes, metadataOf(token), (error, response) =>
        error === null ? resolve(response) : reject(error),
      );
    });
  const notProtobuf = Buffer.from('ffffffffffffffff', 'hex');

  it('answers malformed protobuf with INVALID_ARGUMENT, but asks for the token first', async () => {
    const path = TicketServiceService.getTicket.path;
    const answer = await refusal(raw(path, notProtobuf, await tokenOf({ tenant: 'acme' })));
    assert.deepEqual([answer.code, answer.reason], [status.INVALID_ARGUMENT, 'MALFORMED_MESSAGE']);
    assert.equal((await refusal(raw(path, notProtobuf))).reason, 'TOKEN_MISSING');
  });

  it('gives field violations as google.rpc.BadRequest', async () => {
    const path = TicketServiceService.listTickets.path;
    const answer = await refusal(raw(path, Buffer.alloc(0), await tokenOf({ tenant: 'acme' })));
    assert.deepEqual(answer.violations, [{ field: 'page_size', description: 'is at most 200' }]);
  });

  it('answers and logs a defect without a word of its message', async () => {
    const path = TicketServiceService.appendTicketEvents.path;
    const answer = await refusal(raw(path, Buffer.alloc(0), await tokenOf({ tenant: 'acme' })));
    assert.equal(answer.reason, 'INTERNAL_DEFECT');
    assert.ok(!answer.message.includes('ada.example'));
    assert.ok(logged.some((line) => line.includes('unexpected error')));
    assert.ok(!logged.some((line) => line.includes('ada.example')));
  });

  it('acknowledges each message of a stream in order and outlives a cut one', async () => {
    const metadata = metadataOf(await tokenOf({ tenant: 'acme' }));
    const stream = client.streamTicketEvents(metadata);
    const answers: StreamTicketEventsResponse[] = [];
    for (let sent = 0; sent < 3; sent++) stream.write({ events: [] });
    stream.end();
    for await (const answer of stream) answers.push(answer as StreamTicketEventsResponse);
    assert.equal(answers.length, 3);

    const cut = client.streamTicketEvents(metadata);
    cut.on('error', () => undefined);
    cut.write({ events: [] });
    cut.cancel();
    assert.equal((await getTicket(await tokenOf({ tenant: 'acme' }))).ticket?.ticketToken, 'acme');
  });

  it('ends a stream with the error of its handler while the caller keeps it open', async () => {
    const stream = client.streamTicketEvents(metadataOf(await tokenOf({ tenant: 'acme' })));
    stream.write({ events: [] });
    stream.write({ events: [NewTicketEvent.fromPartial({})] });
    const answers: StreamTicketEventsResponse[] = [];
    const failure = once(stream, 'error') as Promise<[GrpcError]>;
    stream.on('data', (answer: StreamTicketEventsResponse) => answers.push(answer));
    const [error] = await failure;
    assert.equal(detailsOf(error).reason, 'TENANT_UNKNOWN');
    assert.equal(answers.length, 1);
  });

  it('says that a port is taken', async () => {
    const second = createGrpcServer({
      registrations: [],
      callers: { by: 'token', verifyToken: async () => ({ kind: 'anonymous' }) },
      logger: createLogger({ service: 'test', level: 'silent' }),
    });
    await assert.rejects(
      listenPlaintext(second, '127.0.0.1', port),
      (error) => error instanceof ServiceError && error.reason === 'PORT_IN_USE',
    );
    await stopGrpcServer(second, 100);
  });
});

function detailsOf(error: GrpcError) {
  const bytes = error.metadata.get(statusDetailsTrailer)[0];
  assert.ok(bytes instanceof Buffer, 'the error carries google.rpc.Status');
  const decoded = { reason: '', violations: [] as { field: string; description: string }[] };
  for (const detail of Status.decode(bytes).details) {
    if (detail.typeUrl.endsWith('ErrorInfo'))
      decoded.reason = ErrorInfo.decode(detail.value).reason;
    if (detail.typeUrl.endsWith('BadRequest')) {
      decoded.violations = BadRequest.decode(detail.value).fieldViolations;
    }
  }
  return decoded;
}
