import { uuidV7Of } from '../generator/events.ts';
import {
  generateHelpDesk,
  type GeneratedTenant,
  type GeneratedTicket,
  type HelpDeskSettings,
} from '../generator/help-desk.ts';

/** Whom the tour erases, and the ticket that it shows before and after. */
export interface Showcase {
  readonly tenantId: string;
  readonly ticketId: string;
  readonly personId: string;
  readonly personName: string;
  /** Follows from the settings: asking again names the same erasure. */
  readonly erasureId: string;
}

/**
 * A ticket of the first tenant that is short enough to show and in which the requester has written personal data into
 * the text, as people do.
 */
export function findShowcase(settings: HelpDeskSettings): Showcase {
  const { value: tenant } = generateHelpDesk(settings).next();
  if (tenant === undefined) throw new RangeError('a help desk has at least one tenant');
  const ticket = ticketToShow(tenant);
  const { requester, ticketId, label } = ticket.cast;
  return {
    tenantId: tenant.profile.tenantId,
    ticketId,
    personId: requester.profile.naturalId,
    personName: requester.name,
    erasureId: uuidV7Of(`${label}/tour-erasure`, settings.anchorMs),
  };
}

function ticketToShow({ tickets }: GeneratedTenant): GeneratedTicket {
  const ranked = tickets.toSorted((left, right) => interestOf(right) - interestOf(left));
  const [best] = ranked;
  if (best === undefined) throw new RangeError('a generated tenant has at least one ticket');
  return best;
}

function interestOf(ticket: GeneratedTicket): number {
  const { requester } = ticket.cast;
  const bodies = ticket.events.flatMap(({ event }) => {
    const what = event?.event;
    if (what?.$case === 'ticketOpened' || what?.$case === 'messageAdded')
      return [what.value.content?.body ?? ''];
    return [];
  });
  const says = (text: string) => (bodies.some((body) => body.includes(text)) ? 1 : 0);
  const isShort = bodies.length >= 3 && bodies.length <= 5 ? 3 : 0;
  return (
    isShort + says(requester.nationalId) * 2 + says(requester.phone) + (ticket.csat > 0 ? 1 : 0)
  );
}
