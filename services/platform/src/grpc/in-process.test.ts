import assert from 'node:assert/strict';
import { KeyServiceService } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import {
  SequenceServiceService,
  type MissingResponse,
} from '@lethe/proto/gen/lethe/log/v1/service.ts';
import { DatabaseError } from '../database/database-error.ts';
import { failureFields } from '../errors/failure.ts';
import { ServiceError } from '../errors/service-error.ts';
import { peersContract } from '../testing/contract-peers.ts';
import { createInProcessNetwork } from './in-process.ts';
import { registerService } from './register.ts';

const missingRequest = { topic: 'tickets.v1', partition: 0, fromSequence: 3n, toSequence: 5n };

function networkWithTickets() {
  const network = createInProcessNetwork();
  const stored: MissingResponse = { erased: [{ fromSequence: 3n, toSequence: 5n }] };
  network.register('tickets', [
    registerService(SequenceServiceService, {
      missing: async () => stored,
      heads: async ({ topic }) => {
        if (topic === 'broken') throw new DatabaseError('23505', 'a value was refused');
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

  it('make a typed error of any other, with its place for the log and no word of it', async () => {
    const { network } = networkWithTickets();
    const peer = network.peersFor('analytics')('tickets');
    await assert.rejects(
      peer.unary(SequenceServiceService.heads, { topic: 'broken' }),
      (error) =>
        error instanceof ServiceError &&
        error.reason === 'INTERNAL_DEFECT' &&
        !error.message.includes('refused') &&
        failureFields(error).problem?.startsWith('DatabaseError 23505 at ') === true,
    );
  });

  it('are refused while the other service is not there', async () => {
    const { network } = networkWithTickets();
    await assert.rejects(
      network.peersFor('tickets')('keys').unary(KeyServiceService.leaseTokenKey, {
        tenantId: 'acme',
        holderId: 'h',
      }),
      (error) => error instanceof ServiceError && error.reason === 'SERVICE_UNAVAILABLE',
    );
  });
});

peersContract('within one process', async () => {
  const network = createInProcessNetwork();
  return {
    serve: async (service, registrations) => network.register(service, registrations),
    peersFor: async (caller) => network.peersFor(caller),
    close: async () => undefined,
  };
});
