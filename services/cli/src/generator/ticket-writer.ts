import { AuthorKind, SlaMetric } from '@lethe/proto/gen/lethe/tickets/v1/event_enums.ts';
import { Priority, TicketStatus } from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import { TicketEvent, type DeepPartial } from '@lethe/proto/gen/lethe/tickets/v1/events.ts';
import { NewTicketEvent } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { uuidV7Of } from './events.ts';
import type { GeneratedPerson, GeneratedRequester } from './people.ts';
import type { SeededRandom } from './random.ts';
import type { TenantProfile } from './tenants.ts';
import { addBusinessTime, businessTimeBetween, minuteMs } from './working-time.ts';

/** Everybody and everything that a generated ticket is about. */
export interface TicketCast {
  readonly tenant: TenantProfile;
  readonly ticketId: string;
  /** Keeps ids of different seeds apart. */
  readonly label: string;
  readonly requester: GeneratedRequester;
  readonly agents: readonly GeneratedPerson[];
  readonly cc: readonly GeneratedPerson[];
}

type EventCase = NonNullable<DeepPartial<TicketEvent>['event']>;

/** First-reply targets in minutes by priority; urgent ones run by the clock, the others in business time. */
export const firstReplyTargetMin: Readonly<Record<Priority, number>> = {
  [Priority.PRIORITY_URGENT]: 60,
  [Priority.PRIORITY_HIGH]: 240,
  [Priority.PRIORITY_NORMAL]: 480,
  [Priority.PRIORITY_LOW]: 1200,
  [Priority.PRIORITY_UNSPECIFIED]: 480,
  [Priority.UNRECOGNIZED]: 480,
};

/** Writes the events of one ticket in the order of time; it knows how the ticket stands. */
export class TicketWriter {
  readonly events: NewTicketEvent[] = [];
  readonly cast: TicketCast;
  readonly random: SeededRandom;
  agent: GeneratedPerson;
  nowMs: number;
  status: TicketStatus = TicketStatus.TICKET_STATUS_NEW;
  priority: Priority = Priority.PRIORITY_NORMAL;
  replies = 0;
  stations = 0;

  constructor(cast: TicketCast, random: SeededRandom, openedAtMs: number) {
    this.cast = cast;
    this.random = random;
    this.nowMs = openedAtMs;
    this.agent = random.pick(cast.agents);
  }

  /** Adds the event at the present moment; `hasOwnId` gives it a UUIDv7 by which others can name it as their cause. */
  add(event: EventCase, options: { hasOwnId?: boolean; causationId?: string } = {}): string {
    const sourceId = `${this.cast.ticketId}#${this.events.length + 1}`;
    const eventId = uuidV7Of(`${this.cast.label}/${sourceId}`, this.nowMs);
    this.events.push(
      NewTicketEvent.fromPartial({
        id:
          options.hasOwnId === true
            ? { $case: 'eventId', value: eventId }
            : { $case: 'sourceId', value: sourceId },
        ticketId: this.cast.ticketId,
        occurredAt: new Date(this.nowMs),
        causationId: options.causationId ?? '',
        event: TicketEvent.fromPartial({ event }),
      }),
    );
    return eventId;
  }

  /** Business time passes, or time by the clock for an urgent ticket. */
  waitForAgent(medianMin: number, spread: number): void {
    const durationMs = Math.round(this.random.logNormal(medianMin, spread) * minuteMs);
    const isByTheClock = this.priority === Priority.PRIORITY_URGENT;
    this.nowMs = isByTheClock
      ? this.nowMs + durationMs
      : addBusinessTime(this.nowMs, durationMs, this.cast.tenant.utcOffsetH);
  }

  /** Time by the clock passes: customers also write at night. */
  waitForRequester(medianMin: number, spread: number): void {
    this.nowMs += Math.round(this.random.logNormal(medianMin, spread) * minuteMs);
  }

  changeStatus(status: TicketStatus, authorKind: AuthorKind, resolution = ''): void {
    if (status === this.status) return;
    const agent = authorKind === AuthorKind.AUTHOR_KIND_AGENT ? this.agent.profile : undefined;
    this.add({
      $case: 'statusChanged',
      value: {
        facts: { previousStatus: this.status, status, authorKind },
        ...(resolution === '' ? {} : { content: { resolution } }),
        agent,
      },
    });
    this.status = status;
  }

  changePriority(priority: Priority): void {
    if (priority === this.priority) return;
    this.add({
      $case: 'priorityChanged',
      value: {
        facts: {
          previousPriority: this.priority,
          priority,
          authorKind: AuthorKind.AUTHOR_KIND_AGENT,
        },
        agent: this.agent.profile,
      },
    });
    this.priority = priority;
  }

  assign(agent: GeneratedPerson, by: AuthorKind): void {
    this.stations += 1;
    const actingAgent = by === AuthorKind.AUTHOR_KIND_AGENT ? this.agent.profile : undefined;
    this.agent = agent;
    this.add({
      $case: 'assigned',
      value: {
        facts: { assigneeStations: this.stations, authorKind: by },
        assignee: agent.profile,
        agent: actingAgent,
      },
    });
  }

  /** Settles the first-reply target that counts since `sinceMs`: breached at its end if that is past, then fulfilled. */
  settleFirstReply(sinceMs: number, targetPriority: Priority): boolean {
    const targetMin = firstReplyTargetMin[targetPriority];
    const repliedAtMs = this.nowMs;
    const { utcOffsetH } = this.cast.tenant;
    const businessMs = businessTimeBetween(sinceMs, repliedAtMs, utcOffsetH);
    const calendarMs = repliedAtMs - sinceMs;
    const isUrgent = targetPriority === Priority.PRIORITY_URGENT;
    const breached = (isUrgent ? calendarMs : businessMs) > targetMin * minuteMs;
    const common = {
      slaMetric: SlaMetric.SLA_METRIC_FIRST_REPLY,
      slaTargetMin: targetMin,
      instanceIndex: 1,
      priority: targetPriority,
    };
    if (breached) this.add({ $case: 'slaBreached', value: { facts: common } });
    const elapsed = { calendarMs: BigInt(calendarMs), businessMs: BigInt(businessMs) };
    this.add({ $case: 'slaFulfilled', value: { facts: { ...common, breached, elapsed } } });
    return breached;
  }
}
