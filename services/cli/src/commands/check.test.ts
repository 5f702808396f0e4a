import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { status } from '@grpc/grpc-js';
import { AppendOutcome } from '@lethe/proto/gen/lethe/log/v1/append.ts';
import {
  ErasureState,
  type PrivacyServiceServer,
  PrivacyServiceService,
  RegisterTenantResponse,
  RequestErasureResponse,
  WatchErasureResponse,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import {
  AppendTicketEventsResponse,
  GetTranscriptResponse,
  type NewTicketEvent,
  type TicketServiceServer,
  TicketServiceService,
} from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { runCaptured } from '../testing/captured.ts';
import { failure, type FakeServer, startFakeServer } from '../testing/fake-server.ts';
import {
  certificateContents,
  type CertificateSigner,
  createCertificateSigner,
} from '../testing/signed-certificate.ts';

/** What a deployment under test does; by default what it is for. */
interface Deployment {
  outcome: AppendOutcome;
  isRead: boolean;
  isErased: boolean;
  isRegistered: boolean;
  certificate: (erasureId: string) => Promise<string>;
}

describe('lethe check', () => {
  let folder: string;
  let signer: CertificateSigner;
  let server: FakeServer;
  let deployment: Deployment;
  let calls: string[];
  let appended: NewTicketEvent[];

  const signed = async (erasureId: string) =>
    await signer.sign({ ...certificateContents, erasureId });
  const tickets: Pick<TicketServiceServer, 'appendTicketEvents' | 'getTranscript'> = {
    appendTicketEvents: ({ request }, respond) => {
      calls.push('append');
      appended.push(...request.events);
      const results = [{ outcome: deployment.outcome }];
      respond(null, AppendTicketEventsResponse.fromPartial({ results }));
    },
    getTranscript: ({ request }, respond) => {
      calls.push('read');
      assert.equal(request.ticket?.value, appended[0]?.ticketId);
      if (calls.includes('erase') && deployment.isErased) {
        respond(failure({ code: status.NOT_FOUND, message: 'Gone.', reason: 'TICKET_ERASED' }));
        return;
      }
      const entries = deployment.isRead ? appended.map(({ event }) => ({ event })) : [];
      respond(null, GetTranscriptResponse.fromPartial({ entries }));
    },
  };
  const privacy: Pick<
    PrivacyServiceServer,
    'registerTenant' | 'requestErasure' | 'watchErasure' | 'getCertificate'
  > = {
    registerTenant: ({ request, metadata }, respond) => {
      calls.push(`register ${request.tenantId} as ${String(metadata.get('authorization')[0])}`);
      if (deployment.isRegistered) {
        const taken = { code: status.ALREADY_EXISTS, message: 'It is.', reason: 'TENANT_EXISTS' };
        respond(failure(taken));
      } else respond(null, RegisterTenantResponse.fromPartial({ created: true }));
    },
    requestErasure: ({ request }, respond) => {
      calls.push('erase');
      assert.equal(request.dryRun, false);
      const opened = appended[0]?.event?.event;
      assert.ok(opened?.$case === 'ticketOpened');
      assert.equal(request.person?.value, opened.value.requester?.naturalId);
      const { erasureId } = request;
      respond(null, RequestErasureResponse.fromPartial({ erasure: { erasureId } }));
    },
    watchErasure: (call) => {
      const { erasureId } = call.request;
      const state = ErasureState.ERASURE_STATE_COMPLETED;
      const erasure = { erasureId, state, unreadableAt: new Date(), purgedAt: new Date() };
      call.write(WatchErasureResponse.fromPartial({ erasure }));
      call.end();
    },
    getCertificate: ({ request }, respond) => {
      calls.push('certificate');
      void deployment
        .certificate(request.erasureId)
        .then((certificateJws) => respond(null, { certificateJws }));
    },
  };

  before(async () => {
    signer = await createCertificateSigner();
    folder = await mkdtemp(path.join(tmpdir(), 'lethe-check-'));
    await writeFile(path.join(folder, 'key.pem'), signer.pem);
    await writeFile(path.join(folder, 'token'), 'officer\n');
    await writeFile(path.join(folder, 'admin'), 'admin\n');
    server = await startFakeServer([
      [TicketServiceService, tickets],
      [PrivacyServiceService, privacy],
    ]);
  });
  beforeEach(() => {
    calls = [];
    appended = [];
    deployment = {
      outcome: AppendOutcome.APPEND_OUTCOME_ACCEPTED,
      isRead: true,
      isErased: true,
      isRegistered: false,
      certificate: signed,
    };
  });
  after(async () => {
    server.stop();
    await rm(folder, { recursive: true });
  });

  const check = async (argv: readonly string[] = []) => {
    const files = ['--public-key', path.join(folder, 'key.pem')];
    const token = ['--token-file', path.join(folder, 'token')];
    return await runCaptured(['check', '--server', server.address, ...files, ...token, ...argv]);
  };
  const failing = async (rule: RegExp) => {
    const { exitCode, out, err } = await check();
    assert.equal(exitCode, 1, out);
    assert.match(err, rule);
    assert.doesNotMatch(out, /does what it is for/);
  };

  it('appends, reads, erases, reads no more and verifies, in this order', async () => {
    const { exitCode, out, err } = await check();
    assert.equal(exitCode, 0, err);
    assert.deepEqual(calls, ['append', 'read', 'erase', 'read', 'certificate']);
    assert.match(out, /it is unreadable\n.*it is purged\n/);
    assert.match(out, /The deployment does what it is for\./);
  });

  it('says each step to a program too', async () => {
    const { out } = await check(['--json']);
    const { ok, steps } = JSON.parse(out) as { ok: boolean; steps: string[] };
    assert.equal(ok, true);
    assert.equal(steps.at(0), 'a ticket is appended');
    assert.equal(steps.at(-1), 'the certificate holds');
  });

  it('registers the tenant with the token that may, and takes one that is there', async () => {
    const asAdmin = ['--tenant', 'checks', '--admin-token-file', path.join(folder, 'admin')];
    assert.match((await check(asAdmin)).out, /checks is registered/);
    assert.equal(calls[0], 'register checks as Bearer admin');
    calls = [];
    appended = [];
    deployment.isRegistered = true;
    const again = await check(asAdmin);
    assert.equal(again.exitCode, 0, again.err);
    assert.doesNotMatch(again.out, /is registered/);
  });

  it('fails where an event is not taken', async () => {
    deployment.outcome = AppendOutcome.APPEND_OUTCOME_INVALID;
    await failing(/answered APPEND_OUTCOME_INVALID/);
  });

  it('fails where what was appended cannot be read', async () => {
    deployment.isRead = false;
    await failing(/The transcript lacks its text/);
  });

  it('fails where what was erased can still be read', async () => {
    deployment.isErased = false;
    await failing(/The erased text can be read/);
    assert.ok(!calls.includes('certificate'));
  });

  it('fails on a certificate of another key, and on one of another erasure', async () => {
    const stranger = await createCertificateSigner();
    deployment.certificate = async (erasureId) =>
      await stranger.sign({ ...certificateContents, erasureId });
    await failing(/The certificate does not hold/);
    calls = [];
    appended = [];
    deployment.certificate = async () => await signer.sign(certificateContents);
    await failing(/The certificate is of another erasure/);
  });

  it('asks nobody where a file lacks', async () => {
    const { exitCode, err } = await check(['--token-file', path.join(folder, 'nowhere')]);
    assert.equal(exitCode, 2);
    assert.match(err, /There is no file .*nowhere/);
    assert.deepEqual(calls, []);
  });
});
