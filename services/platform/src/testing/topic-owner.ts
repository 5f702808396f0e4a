import type { Kysely } from 'kysely';
import { SequenceServiceService } from '@lethe/proto/gen/lethe/log/v1/service.ts';
import type { MissingRequest } from '@lethe/proto/gen/lethe/log/v1/service.ts';
import { createInProcessNetwork } from '../grpc/in-process.ts';
import type { Peers } from '../grpc/handler.ts';
import { registerService } from '../grpc/register.ts';
import { systemClock } from '../lifecycle/clock.ts';
import { sequenceServiceHandlers } from '../outbox/sequence-service.ts';

/**
 * Peers in which `tickets` answers for `tickets.v1` out of the outbox tables of `ownerDb`, to `predictions`.
 * `beforeAnswer` sees each question and may throw.
 */
export function peersWithOwner(
  ownerDb: Kysely<unknown>,
  beforeAnswer: (request: MissingRequest) => void = () => {},
): Peers {
  const network = createInProcessNetwork();
  const { missing, heads } = sequenceServiceHandlers(ownerDb, 'tickets.v1', systemClock);
  const registration = registerService(SequenceServiceService, {
    missing: async (request, call) => {
      beforeAnswer(request);
      return missing(request, call);
    },
    heads,
  });
  network.register('tickets', [registration]);
  return network.peersFor('predictions');
}
