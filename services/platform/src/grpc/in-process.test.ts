import assert from 'node:assert/strict';
import { KeyServiceService } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import {
  SequenceServiceService,
  type MissingResponse,
} from '@lethe/proto/gen/lethe/log/v1/service.ts';
import { ServiceError } from '../errors/service-error.ts';
import { createInProcessNetwork } from './in-process.ts';
import { registerService } from './register.ts';

const missingRequest = { topic: 'tickets.v1', partition: 0, fromSequence: 3n, toSequence: 5n };

function networkWithTickets() {
  const network = createInProcessNetwork();
  const stored: MissingResponse = { erased: [{ fromSequence: 3n, toSequence: 5n }] };
  network.register('tickets', [
    registerService(SequenceServiceService, {
      missing: async () => stored,
      heads: async () => {
        throw new ServiceError('STORE_UNAVAILABLE');
      },
    }),
  ]);
  return { network, stored };
}

describe('calls between services of one process', () => {
  it('answer a copy, so that neither side shares an object with the other', async () => {
    const { network, stored } = networkWithTickets();
    const analytics = network.peersFor('analytics');
    const answer = await analytics('tickets').unary(SequenceServiceService.missing, missingRequest);
    assert.deepEqual(answer, stored);
    assert.notEqual(answer.erased, stored.erased);
  });

  it('are refused when the access table does not list the caller', async () => {
    const { network } = networkWithTickets();
    const privacy = network.peersFor('privacy');
    await assert.rejects(
      privacy('tickets').unary(SequenceServiceService.missing, missingRequest),
      (error) => error instanceof ServiceError && error.reason === 'SERVICES_ONLY',
    );
  });

  it('pass the typed error of the other side on', async () => {
    const { network } = networkWithTickets();
    await assert.rejects(
      network.peersFor('analytics')('tickets').unary(SequenceServiceService.heads, { topic: 't' }),
      (error) => error instanceof ServiceError && error.reason === 'STORE_UNAVAILABLE',
    );
  });

  it('are refused while the other service is not there', async () => {
    const { network } = networkWithTickets();
    await assert.rejects(
      network.peersFor('tickets')('keys').unary(KeyServiceService.leaseTokenKey, {
        tenantId: 'acme',
        holderId: 'h',
      }),
      (error) => error instanceof ServiceError && error.reason === 'STORE_UNAVAILABLE',
    );
  });
});
