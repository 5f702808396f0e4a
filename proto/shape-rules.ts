/** The rules of the shape law, by name, with what each protects. README.md lists them for readers. */
export const shapeRules = {
  'union-missing': 'the family has no such union message',
  'union-form': 'a union has one oneof named event, whose cases are messages of its own package',
  'union-case':
    'a case is named as its event in snake case, so that type and case follow from each other',
  'union-strays': 'a file with a union holds the union and its events, nothing else',
  'type-twice': 'an event type name occurs once in the whole contract',
  'event-field': 'a field of an event is its facts, its content or a Person',
  'event-form': 'the parts of an event stand outside any oneof; facts and content are singular',
  'facts-missing': 'every event has facts',
  'facts-place': 'facts are field 1, named facts',
  'content-place': 'content is field 2, named content',
  'content-without-ticket': 'only events about tickets have content: no other key would protect it',
  'person-place': 'Persons are numbered from 3',
  'dimensions-missing': 'the facts of an event about a ticket have the dimensions as field 15',
  'facts-text': 'facts hold no string and no bytes',
  'facts-float': 'facts hold integers, not floating-point numbers',
  'facts-map': 'facts hold no map',
  'facts-repeated': 'only enums repeat in facts: a list of numbers can spell a text',
  'facts-message': 'facts nest only messages named Facts, and Timestamp; no Any, Struct or wrapper',
  'facts-recursive': 'facts do not contain themselves: their size would have no bound',
  'content-person':
    'content holds no Person: erasing the person would leave it under the ticket key',
  'content-open':
    'content holds no map and no Any: its bytes must be the same whoever encodes them',
  'privacy-text':
    'privacy events hold text only in ids, services and regions, bytes only in tokens and hashes',
  'enum-size': 'an enum that is a released dimension stays within its bound',
  'version-unknown': 'a declared schema version names an event type that exists, and is 2 or more',
} as const;

/** The name of a rule of the shape law. */
export type ShapeRule = keyof typeof shapeRules;

/** One breach of the shape law. */
export interface Violation {
  readonly rule: ShapeRule;
  /** Full name of the message or enum (for `version-unknown`: the event type). */
  readonly message: string;
  /** The field's name in the .proto file; empty where the message as a whole is meant. */
  readonly field: string;
}

/** A violation as a line for people: where, which rule, and what the rule protects. */
export function describeViolation(violation: Violation): string {
  const place =
    violation.field === '' ? violation.message : `${violation.message}.${violation.field}`;
  return `${place}: ${violation.rule}: ${shapeRules[violation.rule]}`;
}
