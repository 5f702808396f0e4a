import { PredictionServiceService } from '@lethe/proto/gen/lethe/predictions/v1/service.ts';
import { ReturningPersons } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import { PrivacyServiceService } from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { TicketServiceService } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { UsageServiceService } from '@lethe/proto/gen/lethe/usage/v1/service.ts';
import type { AppendResult } from '@lethe/proto/gen/lethe/log/v1/append.ts';
import { createTallyKeeper, type AppendTally, type TallyKeeper } from '../calls/append-tally.ts';
import { sendBatches } from '../calls/batch-stream.ts';
import type { Method } from '../calls/channel.ts';
import { createPace, type Pace, pacedBatches } from '../calls/pace.ts';
import type { AskedWait } from '../calls/retry.ts';
import type { Caller, Session } from '../connection/session.ts';
import {
  generateHelpDesk,
  type GeneratedTenant,
  type HelpDeskSettings,
} from '../generator/help-desk.ts';
import { formatCount, formatRate } from '../output/numbers.ts';
import { startProgress, waitText, type Progress } from '../output/progress.ts';
import type { Surroundings } from '../surroundings.ts';

/** Events in one message; a message is one transaction of the server. */
const batchEvents = 150;
/** Messages of one stream that wait for their acknowledgement. */
const inFlightMax = 4;
/** Tenants that are sent at the same time. */
const tenantsAtOnce = 3;
/** Requirement C7: transcripts of the tour's tenants are kept for 400 days. */
const retentionDays = 400;

/** Tells whoever watches how it goes. */
interface Teller {
  readonly report: () => void;
  readonly waiting: (wait: AskedWait) => void;
}

export interface LoadedHelpDesk {
  readonly tally: AppendTally;
  readonly tenants: number;
  /** From the first registration to the last acknowledgement. */
  readonly tookMs: number;
  /** By this moment the server had committed every event, milliseconds since 1970 UTC. */
  readonly acknowledgedAtMs: number;
}

/**
 * Registers the tenants and streams all events. Every id follows from the settings, so a run that was cut short is
 * simply run again: what the server has already is answered "duplicate". `eventsPerSecond` is the rate of all streams
 * together; without it the server decides.
 */
export async function loadHelpDesk(
  session: Session,
  settings: HelpDeskSettings,
  surroundings: Surroundings,
  eventsPerSecond?: number,
): Promise<LoadedHelpDesk> {
  const { clock, terminal } = surroundings;
  const startedMs = clock.monotonicMs();
  const keeper = createTallyKeeper();
  const progress = startProgress(terminal, { title: 'Streaming events', total: settings.events });
  const teller: Teller = {
    report: () =>
      progress.update(keeper.total(), formatRate(keeper.total(), clock.monotonicMs() - startedMs)),
    waiting: (wait) => progress.waiting(waitText(wait)),
  };
  const pace =
    eventsPerSecond === undefined ? undefined : createPace(eventsPerSecond, session.means);
  const tenants = generateHelpDesk(settings);
  const load = async () => {
    // Several workers take from the one generator: it is asked for the next tenant only when a worker is free.
    for (const tenant of tenants) await loadTenant(session, tenant, keeper, teller, pace);
  };
  try {
    await Promise.all(Array.from({ length: tenantsAtOnce }, load));
  } catch (error) {
    progress.abandon();
    throw error;
  }
  const tookMs = clock.monotonicMs() - startedMs;
  finishProgress(progress, keeper, tookMs);
  return {
    tally: keeper.tally(),
    tenants: settings.tenants,
    tookMs,
    acknowledgedAtMs: clock.nowMs(),
  };
}

function finishProgress(progress: Progress, keeper: TallyKeeper, tookMs: number): void {
  progress.finish(`${formatCount(keeper.total())} at ${formatRate(keeper.total(), tookMs)}`);
}

async function loadTenant(
  session: Session,
  tenant: GeneratedTenant,
  keeper: TallyKeeper,
  teller: Teller,
  pace: Pace | undefined,
): Promise<void> {
  const { tenantId } = tenant.profile;
  await session
    .as({ tenantId: undefined, roles: ['platform-admin'] })
    .unary(PrivacyServiceService.registerTenant, {
      tenantId,
      settings: {
        region: 'eu-central',
        retentionDays,
        returningPersons: ReturningPersons.RETURNING_PERSONS_ALLOW,
      },
    });
  const writer = session.as({ tenantId, roles: ['writer'] });
  const send = createSender(session, writer, tenantId, keeper, teller, pace);
  const tickets = tenant.tickets.flatMap((ticket) => ticket.events);
  const predictions = tenant.tickets.flatMap((ticket) => ticket.predictions);
  await Promise.all([
    // A prediction is sealed under its ticket's key, which the ticket's first event creates: tickets go first.
    send(TicketServiceService.streamTicketEvents, tickets, 'ticket event').then(
      async () =>
        await send(PredictionServiceService.streamPredictionEvents, predictions, 'prediction'),
    ),
    send(UsageServiceService.streamUsageEvents, tenant.usage, 'usage event'),
  ]);
}

function createSender(
  session: Session,
  writer: Caller,
  tenantId: string,
  keeper: TallyKeeper,
  teller: Teller,
  pace: Pace | undefined,
) {
  return async <Event>(
    method: Method<{ readonly events: Event[] }, { readonly results: AppendResult[] }>,
    events: readonly Event[],
    kind: string,
  ): Promise<void> => {
    let done = 0;
    await sendBatches({
      channel: session.channel,
      method,
      accessToken: async () => await writer.accessToken(),
      messages: pacedBatches(events, batchEvents, pace),
      inFlightMax,
      means: session.means,
      onAskedToWait: teller.waiting,
      onAcknowledged: (request, { results }) => {
        const first = done;
        keeper.add(results, (index) => `${tenantId}, ${kind} ${first + index + 1}`);
        done += request.events.length;
        teller.report();
      },
    });
  };
}
