import type { Person } from '@lethe/proto/gen/lethe/people/v1/person.ts';
import { type EventShape, eventShapes } from '@lethe/proto/gen/shapes.ts';
import type { TokenMaker } from '../key-client/port.ts';
import type { NamedPerson } from './family.ts';
import { checkFacts, type FactsRules, type FieldRule, protoName } from './field-rules.ts';
import type { Problems } from '../grpc/parse-request.ts';
import { checkPerson, namePerson } from './parse-person.ts';

/** An event of a family's generated union. */
export interface UnionEvent {
  readonly $case: string;
  readonly value: object;
}

/** What a caller's event must keep beside its envelope. */
export interface EventRule<Value> {
  readonly facts: Value extends { facts?: infer Facts } ? FactsRules<NonNullable<Facts>> : never;
  /** Parts that must be there, beside the facts. */
  readonly required: readonly (keyof Value & string)[];
  /** What facts and parts must keep together; adds to the problems. */
  readonly also?: (value: Value, path: string, problems: Problems) => void;
}

/** Why callers may not send an event: the service makes it, or cannot do yet what it says. */
export interface Refusal {
  readonly refused: string;
}

/** A rule or a refusal for every event of a union; the compiler sees to it. */
export type EventRules<Event extends UnionEvent> = {
  readonly [Case in Event['$case']]: EventRule<(Event & { $case: Case })['value']> | Refusal;
};

/** The shape of a union's event. */
export function shapeOfCase($case: string): EventShape {
  const shape = eventShapes[`${$case.charAt(0).toUpperCase()}${$case.slice(1)}`];
  if (shape?.unionCase !== $case) throw new RangeError(`no event type for the case ${$case}`);
  return shape;
}

/** Holds an event to its rules and adds every problem, with the path inside the event. */
export function checkEvent<Event extends UnionEvent>(
  event: Event,
  rules: EventRules<Event>,
  problems: Problems,
): void {
  const rule = looseRule(rules, event.$case);
  const path = `event.${protoName(event.$case)}`;
  if ('refused' in rule) {
    problems.add(path, rule.refused);
    return;
  }
  checkFactsPart(event.value, rule, path, problems);
  for (const part of rule.required) {
    if (Reflect.get(event.value, part) === undefined) {
      problems.add(`${path}.${protoName(part)}`, 'is required');
    }
  }
  for (const { part, person } of personsOf(event)) checkPerson(person, `${path}.${part}`, problems);
  rule.also?.(event.value, path, problems);
}

interface LooseRule {
  readonly facts: Readonly<Record<string, FieldRule | undefined>>;
  readonly required: readonly string[];
  readonly also?: (value: object, path: string, problems: Problems) => void;
}

// The one place where a rule forgets which event it is for: EventRules has checked the pairs.
function looseRule(rules: object, $case: string): LooseRule | Refusal {
  const rule: unknown = Reflect.get(rules, $case);
  if (rule === undefined) throw new RangeError(`no rule for the case ${$case}`);
  return rule as LooseRule | Refusal;
}

function checkFactsPart(value: object, rule: LooseRule, path: string, problems: Problems): void {
  const facts: unknown = Reflect.get(value, 'facts');
  if (typeof facts !== 'object' || facts === null) {
    problems.add(`${path}.facts`, 'is required');
    return;
  }
  checkFacts(facts, rule.facts, `${path}.facts`, problems);
  if (Reflect.get(facts, 'dimensions') !== undefined) {
    problems.add(`${path}.facts.dimensions`, 'is stamped by the service; leave it empty');
  }
}

interface PersonOfPart {
  readonly part: string;
  readonly person: Person;
}

/** The persons of an event by the names of their parts: "requester", "cc/0". */
function personsOf(event: UnionEvent): readonly PersonOfPart[] {
  return shapeOfCase(event.$case).parts.flatMap(({ name, kind, repeated }): PersonOfPart[] => {
    const given: unknown = Reflect.get(event.value, name);
    if (kind !== 'person' || given === undefined) return [];
    if (!repeated) return [{ part: name, person: given as Person }];
    return (given as Person[]).map((person, index) => ({ part: `${name}/${index}`, person }));
  });
}

/** The persons of an event by their tokens. */
export function namePersons(event: UnionEvent, tokens: TokenMaker): readonly NamedPerson[] {
  return personsOf(event).map(({ part, person }) => namePerson(part, person, tokens));
}
