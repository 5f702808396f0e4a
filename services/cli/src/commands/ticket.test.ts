import assert from 'node:assert/strict';
import type { sendUnaryData } from '@grpc/grpc-js';
import {
  PrivacyServiceService,
  ListErasuresResponse,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import {
  GetTicketResponse,
  GetTranscriptResponse,
  ListTicketsResponse,
  TicketServiceService,
} from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { runCaptured } from '../testing/captured.ts';
import { startFakeServer, type FakeServer } from '../testing/fake-server.ts';

const requesterToken = 'c3'.repeat(16);

/** Answers every call of one method alike. */
function always<Response>(response: Response) {
  return (_call: unknown, respond: sendUnaryData<Response>) => respond(null, response);
}

describe('lethe ticket', () => {
  let server: FakeServer;
  before(async () => {
    const opened = {
      event: {
        event: {
          $case: 'ticketOpened' as const,
          value: { content: { subject: 'Late', body: 'It is late.', naturalId: 'HD-7' } },
        },
      },
    };
    const ticket = { subject: 'Late', requesterName: 'Orianne Example', requesterToken };
    server = await startFakeServer([
      [
        TicketServiceService,
        {
          getTicket: always(GetTicketResponse.fromPartial({ ticket })),
          getTranscript: always(GetTranscriptResponse.fromPartial({ entries: [opened] })),
          listTickets: always(ListTicketsResponse.fromPartial({})),
        },
      ],
      [PrivacyServiceService, { listErasures: always(ListErasuresResponse.fromPartial({})) }],
    ]);
  });
  after(() => server.stop());

  const run = async (...argv: readonly string[]) =>
    await runCaptured([...argv, '--server', server.address, '--token', 't']);

  it('show names the ids by which the ticket and its requester can be asked for', async () => {
    const { exitCode, out } = await run('ticket', 'show', 'HD-7');
    assert.equal(exitCode, 0);
    assert.match(out, /id +HD-7\n/);
    assert.match(out, new RegExp(`person token +${requesterToken}\\n`));
  });

  for (const [name, says] of [
    ['ticket', /^No tickets yet\..* `lethe tenant list`/],
    ['erasure', /^No erasures yet\..* `lethe tenant list`/],
  ] as const) {
    it(`${name} list says that there is none and where to look`, async () => {
      const { exitCode, out } = await run(name, 'list');
      assert.equal(exitCode, 0);
      assert.match(out, says);
    });
  }
});
