import type { ServiceName } from '@lethe/proto/access.ts';
import type { TopicName } from '@lethe/proto/topics.ts';
import type { EventShape } from '@lethe/proto/gen/shapes.ts';
import type { FieldViolation } from '../errors/service-error.ts';
import type { EventId, Token } from '../ids/ids.ts';

/** A person part of an event, by tokens. */
export interface NamedPerson {
  /** Name of the part: "requester", "cc/0". */
  readonly part: string;
  readonly token: Token;
  /** Tokens of the person's further ids. */
  readonly aliases: readonly Token[];
}

/** An event that wants to be appended: parsed by the owner's RPC, natural ids already tokens. */
export interface AppendItem<Command> {
  readonly eventId: EventId;
  /** Token of the ticket; for a stream of a person, the token of their natural id. */
  readonly streamToken: Token;
  readonly shape: EventShape;
  /** The event as the caller sent it, encoded anew: what the content digest covers. */
  readonly eventBytes: Uint8Array;
  readonly occurredAtMs: number;
  readonly causationId: EventId | undefined;
  readonly persons: readonly NamedPerson[];
  /** Whether this event may be the first of its stream. */
  readonly opensStream: boolean;
  /** The person part whose person owns the stream that this event opens; their erasure erases the stream. */
  readonly ownerPart: string | undefined;
  /** The person part of the acting agent, a contributor of the month. */
  readonly agentPart: string | undefined;
  /** What `decide` looks at. */
  readonly command: Command;
  /**
   * Nothing of the caller's is stored: `decide` answers `observed`. Its consumer's checkpoint keeps it from being
   * applied twice, so that it has no place in the event index.
   */
  readonly isObservation?: true;
}

/** An event that was decided on. */
export interface DecidedEvent {
  readonly shape: EventShape;
  readonly eventBytes: Uint8Array;
}

export type Decision<State> =
  | {
      readonly kind: 'decided';
      /** The caller's event, as it is to be stored. */
      readonly event: DecidedEvent;
      /** What the service adds because of it; ids are made of stream, name and the caller's event. */
      readonly derived: readonly (DecidedEvent & { readonly name: string })[];
      readonly state: State;
    }
  /** Nothing happened here, but something is known now. */
  | { readonly kind: 'observed'; readonly state: State }
  | { readonly kind: 'unknown_ticket' }
  | { readonly kind: 'refused'; readonly violations: readonly FieldViolation[] };

/** What `decide` knows beside state and command. */
export interface DecisionContext {
  readonly eventId: EventId;
  readonly occurredAtMs: number;
  readonly causationId: EventId | undefined;
  /** Canonical tokens by part name; an erased person has none. */
  readonly personTokens: ReadonlyMap<string, Token>;
}

/** An event as it lies on the log, opened as far as it can be. */
export interface RecordedEvent {
  readonly eventId: EventId;
  readonly shape: EventShape;
  /** Without the parts that are erased or were not wanted. */
  readonly eventBytes: Uint8Array;
  readonly occurredAtMs: number;
  /** Canonical token of every person part by its name; undefined when it was erased before it was appended. */
  readonly personTokens: ReadonlyMap<string, Token | undefined>;
}

/** What differs between the owners of event topics. */
export interface EventFamily<Command, State> {
  readonly service: ServiceName;
  readonly topic: TopicName;
  /** Whose key seals content and state: the ticket's, or that of the person whose stream it is. */
  readonly streamKind: 'ticket' | 'person';
  /** Whether the records are kept for reading. */
  readonly keepsRecords: boolean;
  /** Pure and synchronous. */
  decide(state: State | undefined, command: Command, context: DecisionContext): Decision<State>;
  /**
   * The state after an event that was decided earlier, the service's own among them: folding a stream's records gives
   * the state that `decide` left. Pure and synchronous.
   */
  evolve(state: State | undefined, recorded: RecordedEvent): State;
  /** Undefined: the streams of this family have no state. */
  readonly stateCodec: StateCodec<State> | undefined;
}

export interface StateCodec<State> {
  /** Such as "ticket-state": bound into the box. */
  readonly name: string;
  encode(state: State): Uint8Array;
  decode(bytes: Uint8Array): State;
}

/** The answer to one item. */
export type AppendAnswer =
  | { readonly outcome: 'accepted' | 'duplicate'; readonly position: number }
  | { readonly outcome: 'conflict' | 'erased' | 'unknown_ticket' }
  | {
      readonly outcome: 'invalid';
      readonly reason: 'INVALID_FIELDS' | 'EVENT_TOO_LARGE';
      readonly violations: readonly FieldViolation[];
    };
