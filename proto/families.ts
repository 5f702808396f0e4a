/**
 * The event families of the contract: which union message holds which events, and what its events may be
 * made of. The shape law, the generated shapes and the golden records all start from this table.
 */

/** A family whose events are sealed part by part. */
export type SealedFamily = 'tickets' | 'predictions' | 'usage';

/** One family of events: a union message with one oneof named `event`. */
export interface Family {
  readonly name: SealedFamily | 'privacy';
  /** Full name of the union message. */
  readonly union: string;
  /** Sealed: events are facts, content and Persons. Otherwise they lie open and hold tokens only. */
  readonly isSealed: boolean;
  /**
   * The stream is a ticket: events may have content, as there is a ticket key to seal it under, and their
   * facts carry the ticket's dimensions.
   */
  readonly isAboutTickets: boolean;
}

/** What the shape law holds the compiled descriptors against. */
export interface Contract {
  readonly families: readonly Family[];
  /** Full name of the message that each Person part must be. */
  readonly personType: string;
  /** Full name of the message that stands as `dimensions = 15` in the facts of ticket families. */
  readonly dimensionsType: string;
  /** How many values beside zero an enum may have at most, by full name. */
  readonly enumValuesMax: { readonly [enumType: string]: number };
  /** Declared schema versions by event type; one that is not named has version 1. */
  readonly schemaVersions: { readonly [type: string]: number };
}

export const families = [
  {
    name: 'tickets',
    union: 'lethe.tickets.v1.TicketEvent',
    isSealed: true,
    isAboutTickets: true,
  },
  {
    name: 'predictions',
    union: 'lethe.predictions.v1.PredictionEvent',
    isSealed: true,
    isAboutTickets: true,
  },
  { name: 'usage', union: 'lethe.usage.v1.UsageEvent', isSealed: true, isAboutTickets: false },
  {
    name: 'privacy',
    union: 'lethe.privacy.v1.PrivacyEvent',
    isSealed: false,
    isAboutTickets: false,
  },
] as const satisfies readonly Family[];
