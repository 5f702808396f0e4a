import assert from 'node:assert/strict';
import { status, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import { ErasureGround } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import {
  PrivacyServiceService,
  RequestErasureResponse,
  type RequestErasureRequest,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { runCaptured } from '../testing/captured.ts';
import { failure, startFakeServer, type FakeServer } from '../testing/fake-server.ts';

const persons = ['a1'.repeat(16), 'b2'.repeat(16)];

describe('lethe erase', () => {
  let server: FakeServer;
  let requests: RequestErasureRequest[] = [];
  let sharing = 1;
  beforeEach(async () => {
    requests = [];
    sharing = 1;
    const requestErasure = (
      { request }: ServerUnaryCall<RequestErasureRequest, RequestErasureResponse>,
      respond: sendUnaryData<RequestErasureResponse>,
    ) => {
      requests.push(request);
      const isAmbiguous = sharing > 1 && request.confirmedPersonTokens.length === 0;
      if (!request.dryRun && isAmbiguous) {
        respond(
          failure({
            code: status.FAILED_PRECONDITION,
            message: 'Shared.',
            reason: 'PERSON_AMBIGUOUS',
          }),
        );
        return;
      }
      const preview = { personTokens: persons.slice(0, sharing), tickets: 3n };
      const erasure = { erasureId: request.erasureId };
      respond(null, RequestErasureResponse.fromPartial(request.dryRun ? { preview } : { erasure }));
    };
    server = await startFakeServer([[PrivacyServiceService, { requestErasure }]]);
  });
  afterEach(() => server.stop());

  const erase = async (argv: readonly string[], answers?: readonly string[]) => {
    const base = [
      'erase',
      '--person',
      'u-1',
      '--ground',
      'objection',
      '--server',
      server.address,
      '--token',
      't',
    ];
    return await runCaptured([...base, ...argv], answers === undefined ? {} : { answers });
  };
  const done = () => requests.filter(({ dryRun }) => !dryRun);

  it('shows what would go, and erases after a yes', async () => {
    const { exitCode, out } = await erase([], ['erase']);
    assert.equal(exitCode, 0);
    assert.match(out, /This would go:\n {2}person (a1){16}\n {2}with 3 tickets of their own/);
    assert.equal(done().length, 1);
    assert.equal(done()[0]?.ground, ErasureGround.ERASURE_GROUND_OBJECTION);
    assert.deepEqual(done()[0]?.person, { $case: 'personId', value: 'u-1' });
  });

  it('changes nothing on anything but a yes', async () => {
    for (const answer of ['', 'no', 'y', 'ERASE']) {
      const { exitCode, err } = await erase([], [answer]);
      assert.equal(exitCode, 1);
      assert.match(err, /Not confirmed; nothing was erased/);
    }
    assert.deepEqual(done(), []);
  });

  it('changes nothing on a dry run, and nothing where nobody can be asked', async () => {
    assert.equal((await erase(['--dry-run'], ['erase'])).exitCode, 0);
    const { exitCode, err } = await erase([]);
    assert.equal(exitCode, 2);
    assert.match(err, /no terminal to ask on/);
    assert.deepEqual(done(), []);
  });

  it('asks nobody when the answer was given beforehand', async () => {
    assert.equal((await erase(['--yes'])).exitCode, 0);
    assert.deepEqual(
      requests.map(({ dryRun }) => dryRun),
      [false],
    );
  });

  it('does not choose between persons who share an id', async () => {
    sharing = 2;
    const asked = await erase([], ['erase']);
    assert.equal(asked.exitCode, 1);
    assert.match(
      asked.err,
      new RegExp(`2 persons share this id.*\n.*\n.*--confirm ${persons.join(',')}`),
    );
    assert.deepEqual(done(), []);
    assert.equal((await erase(['--yes'])).exitCode, 1);
    const confirmed = await erase(['--yes', '--confirm', persons[1] ?? '']);
    assert.equal(confirmed.exitCode, 0);
    assert.deepEqual(requests.at(-1)?.confirmedPersonTokens, [persons[1]]);
  });
});
