import { setTimeout as delay } from 'node:timers/promises';
import { uuidV7Of } from '@lethe/cli/generator/events.ts';
import type { GeneratedTenant } from '@lethe/cli/generator/help-desk.ts';
import { createSeededRandom } from '@lethe/cli/generator/random.ts';
import { ErasureGround } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import {
  type Erasure,
  ErasureState,
  PrivacyServiceService,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import type { PatientClient } from './client.ts';

/** An erasure that was requested while the faults went on. */
export interface ErasedPerson {
  readonly tenantId: string;
  readonly naturalId: string;
  readonly erasureId: string;
}

/** Requests the erasure of somebody who has tickets, and says before of whom. All events of the tenant have been sent. */
export async function eraseSomebody(
  client: PatientClient,
  seed: string,
  { profile: { tenantId }, tickets }: GeneratedTenant,
  onChosen: (naturalId: string) => void = () => undefined,
): Promise<ErasedPerson> {
  const { requester } = createSeededRandom(`${seed}/erased/${tenantId}`).pick(tickets).cast;
  const { naturalId } = requester.profile;
  onChosen(naturalId);
  return await requestErasure(client, seed, tenantId, naturalId);
}

export async function requestErasure(
  client: PatientClient,
  seed: string,
  tenantId: string,
  naturalId: string,
): Promise<ErasedPerson> {
  const erasureId = uuidV7Of(`${seed}/${tenantId}/${naturalId}`, Date.now());
  await client.call(
    PrivacyServiceService.requestErasure,
    {
      person: { $case: 'personId', value: naturalId },
      ground: ErasureGround.ERASURE_GROUND_CONSENT_WITHDRAWN,
      confirmedPersonTokens: [],
      erasureId,
      dryRun: false,
    },
    { tenant: tenantId, roles: ['privacy-officer'] },
  );
  return { tenantId, naturalId, erasureId };
}

const pollMs = 500;

/** Waits for its certificate. */
export async function untilCompleted(
  client: PatientClient,
  person: ErasedPerson,
  withinMs: number,
): Promise<Erasure> {
  const isCompleted = ({ state }: Erasure) => state === ErasureState.ERASURE_STATE_COMPLETED;
  return await untilErasure(client, person, isCompleted, withinMs);
}

/** Waits until every key of it is gone and nobody has a lease any more. */
export async function untilUnreadable(
  client: PatientClient,
  person: ErasedPerson,
  withinMs: number,
): Promise<Erasure> {
  return await untilErasure(
    client,
    person,
    ({ unreadableAt }) => unreadableAt !== undefined,
    withinMs,
  );
}

async function untilErasure(
  client: PatientClient,
  { tenantId, erasureId }: ErasedPerson,
  isSo: (erasure: Erasure) => boolean,
  withinMs: number,
): Promise<Erasure> {
  const endsMs = performance.now() + withinMs;
  for (;;) {
    const { erasure } = await client.call(
      PrivacyServiceService.getErasure,
      { erasureId },
      { tenant: tenantId, roles: ['privacy-officer'] },
    );
    if (erasure !== undefined && isSo(erasure)) return erasure;
    if (performance.now() > endsMs) {
      throw new Error(`erasure ${erasureId} is not so far after ${withinMs} ms`);
    }
    await delay(pollMs);
  }
}
