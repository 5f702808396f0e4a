import type { ServiceName } from '@lethe/proto/access.ts';
import {
  ErasureParticipantServiceService,
  type PreviewErasureRequest,
} from '@lethe/proto/gen/lethe/erasure/v1/service.ts';
import type { ServiceRegistration } from '@lethe/platform/grpc/handler.ts';
import { registerService } from '@lethe/platform/grpc/register.ts';

/** Stands in for a service that holds data of erased scopes. */
export interface FakeParticipant {
  readonly registration: ServiceRegistration;
  readonly asked: PreviewErasureRequest[];
}

/** Claims ten records, one row per scope asked about, and two boxes. */
export function createFakeParticipant(service: ServiceName): FakeParticipant {
  const asked: PreviewErasureRequest[] = [];
  const registration = registerService(ErasureParticipantServiceService, {
    previewErasure: async (request) => {
      asked.push(request);
      const rows = BigInt(request.scopes.length);
      return { service, records: 10n, rows, boxesUnreadable: 2n };
    },
  });
  return { registration, asked };
}
