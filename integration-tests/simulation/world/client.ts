import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { Caller } from '@lethe/platform/grpc/handler.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { newUuid } from '@lethe/platform/ids/new-id.ts';
import type { AppendResult } from '@lethe/proto/gen/lethe/log/v1/append.ts';
import { ErasureGround, ReturningPersons } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import {
  PrivacyServiceService,
  RegisterTenantRequest,
  RequestErasureRequest,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { TicketServiceService } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import type { SimulatedProcess } from '../core/simulated-process.ts';
import { type Command, requestOf, type WishedEvent } from './commands.ts';
import type { SimulatedNetwork } from './network.ts';

/** What clients were told, for the oracle. */
export interface Told {
  readonly answers: {
    readonly tenant: string;
    readonly wished: WishedEvent;
    readonly result: AppendResult;
    /** Simulated milliseconds when the answer came. */
    readonly atMs: number;
  }[];
  readonly erasures: {
    readonly tenant: string;
    readonly person: string;
    readonly erasureId: string;
    /** False: the person was unknown. */
    readonly isAccepted: boolean;
    readonly answeredAtMs: number;
  }[];
  /** Reasons of calls that were refused and tried again. */
  readonly refusals: Map<string, number>;
}

const retryMs = 150;

/** Does one command after another, each until it is answered; that is what makes a lost answer a repeated request. */
export async function runClient(
  network: SimulatedNetwork,
  process: SimulatedProcess,
  commands: readonly Command[],
  told: Told,
): Promise<void> {
  for (const command of commands) {
    if (command.kind === 'wait') await process.clock.sleep(command.forMs);
    else if (command.kind === 'append') await append(network, process, command, told);
    else await erase(network, process, command, told);
  }
}

async function append(
  network: SimulatedNetwork,
  process: SimulatedProcess,
  { tenant, events }: Extract<Command, { kind: 'append' }>,
  told: Told,
): Promise<void> {
  const { appendTicketEvents } = TicketServiceService;
  // A ticket that is opened by another client's batch: its events have to wait for it.
  let left = events;
  for (let attempt = 0; left.length > 0; attempt += 1) {
    const request = { events: left.map(requestOf) };
    const { results } = await untilAnswered(process, told, async () =>
      network.call(process, 'tickets', tenantCaller(tenant), appendTicketEvents, request),
    );
    const again: WishedEvent[] = [];
    for (const [index, wished] of left.entries()) {
      const result = results[index];
      if (result === undefined) throw new RangeError('fewer results than events');
      told.answers.push({ tenant, wished, result, atMs: process.clock.nowMs() });
      if (result.reason === 'TICKET_UNKNOWN' && attempt < 3) again.push(wished);
    }
    left = again;
    if (left.length > 0) await process.clock.sleep(retryMs);
  }
}

async function erase(
  network: SimulatedNetwork,
  process: SimulatedProcess,
  { tenant, person }: Extract<Command, { kind: 'erase' }>,
  told: Told,
): Promise<void> {
  const erasureId = newUuid(process.clock, process.randomBytes);
  const request = RequestErasureRequest.fromPartial({
    erasureId,
    person: { $case: 'personId', value: person },
    ground: ErasureGround.ERASURE_GROUND_CONSENT_WITHDRAWN,
  });
  const answer = await untilAnswered(process, told, async () => {
    try {
      const { requestErasure } = PrivacyServiceService;
      return await network.call(process, 'privacy', tenantCaller(tenant), requestErasure, request);
    } catch (error) {
      if (error instanceof ServiceError && error.reason === 'PERSON_UNKNOWN') return undefined;
      throw error;
    }
  });
  told.erasures.push({
    tenant,
    person,
    erasureId,
    isAccepted: answer !== undefined,
    answeredAtMs: process.clock.nowMs(),
  });
}

export async function registerTenant(
  network: SimulatedNetwork,
  process: SimulatedProcess,
  tenantId: string,
  mayReturn: boolean,
  told: Told,
): Promise<void> {
  const returningPersons = mayReturn
    ? ReturningPersons.RETURNING_PERSONS_ALLOW
    : ReturningPersons.RETURNING_PERSONS_REFUSE;
  const settings = { region: 'simulated', retentionDays: 400, returningPersons };
  const request = RegisterTenantRequest.fromPartial({ tenantId, settings });
  await untilAnswered(process, told, async () =>
    network.call(process, 'privacy', admin, PrivacyServiceService.registerTenant, request),
  );
}

const admin: Caller = { kind: 'platform', subject: 'simulation', roles: ['platform-admin'] };

function tenantCaller(tenant: string): Caller {
  const roles = ['writer', 'reader', 'privacy-officer'] as const;
  return { kind: 'tenant', tenantId: tenant as TenantId, subject: 'simulation', roles };
}

async function untilAnswered<Answer>(
  process: SimulatedProcess,
  told: Told,
  call: () => Promise<Answer>,
): Promise<Answer> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      const reason = error instanceof ServiceError ? error.reason : 'UNTYPED';
      told.refusals.set(reason, (told.refusals.get(reason) ?? 0) + 1);
      await process.clock.sleep(retryMs);
    }
  }
}
