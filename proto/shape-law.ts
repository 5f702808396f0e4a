import type { DescField, DescMessage, FileRegistry } from '@bufbuild/protobuf';
import type { Contract, Family } from './families.ts';
import {
  checkContent,
  checkFacts,
  checkOpenEvent,
  isFactsType,
  messageOf,
  violationAt,
} from './shape-parts.ts';
import type { Violation } from './shape-rules.ts';

/** What a part of an event is, which decides the key that it is sealed under. */
export type PartKind = 'facts' | 'content' | 'person';

/** An event of a family: its case in the union and its message. */
export interface EventCase {
  readonly family: Family;
  readonly unionField: DescField;
  readonly message: DescMessage;
}

const DIMENSIONS_NUMBER = 15;
const PERSON_NUMBER_MIN = 3;

/** What a field of an event is by its type, or undefined where it is none of the three parts. */
export function partKindOf(field: DescField, contract: Contract): PartKind | undefined {
  const message = field.fieldKind === 'map' ? undefined : messageOf(field);
  if (message === undefined) return undefined;
  if (message.typeName === contract.personType) return 'person';
  if (isFactsType(message)) return 'facts';
  return message.name.endsWith('Content') ? 'content' : undefined;
}

/** The events of all families, in the order of the contract. Cases that are no messages are left out. */
export function eventCases(registry: FileRegistry, contract: Contract): readonly EventCase[] {
  return contract.families.flatMap((family) =>
    (registry.getMessage(family.union)?.fields ?? []).flatMap((unionField) => {
      const message = messageOf(unionField);
      return message === undefined ? [] : [{ family, unionField, message }];
    }),
  );
}

function toSnakeCase(name: string): string {
  return name.replaceAll(/(?<!^)[A-Z]/gu, '_$&').toLowerCase();
}

function checkUnionCase(field: DescField): readonly Violation[] {
  const event = field.fieldKind === 'message' ? field.message : undefined;
  const isInPackage = event?.file.proto.package === field.parent.file.proto.package;
  if (event === undefined || !isInPackage || field.oneof?.name !== 'event') {
    return [violationAt('union-form', field)];
  }
  return field.name === toSnakeCase(event.name) ? [] : [violationAt('union-case', field)];
}

function checkUnion(family: Family, registry: FileRegistry): readonly Violation[] {
  const union = registry.getMessage(family.union);
  if (union === undefined) return [{ rule: 'union-missing', message: family.union, field: '' }];
  const members = new Set<DescMessage | undefined>([union, ...union.fields.map(messageOf)]);
  // The file of an open family also holds the messages that its events are made of.
  const strays = family.isSealed
    ? union.file.messages.filter((message) => !members.has(message))
    : [];
  return [
    ...union.fields.flatMap(checkUnionCase),
    ...strays.map((message) => violationAt('union-strays', message)),
  ];
}

/** Where a part may stand: its number, its name, and whether the family may have it at all. */
function checkPlace(field: DescField, kind: PartKind, family: Family): readonly Violation[] {
  if (kind === 'person') {
    return field.number >= PERSON_NUMBER_MIN ? [] : [violationAt('person-place', field)];
  }
  if (kind === 'facts') {
    const isInPlace = field.number === 1 && field.name === 'facts';
    return isInPlace ? [] : [violationAt('facts-place', field)];
  }
  const isInPlace = field.number === 2 && field.name === 'content';
  return [
    ...(isInPlace ? [] : [violationAt('content-place', field)]),
    ...(family.isAboutTickets ? [] : [violationAt('content-without-ticket', field)]),
  ];
}

function checkPart(field: DescField, family: Family, contract: Contract): readonly Violation[] {
  const kind = partKindOf(field, contract);
  if (kind === undefined) return [violationAt('event-field', field)];
  const isLoose = field.oneof !== undefined || (kind !== 'person' && field.fieldKind === 'list');
  const content = kind === 'content' ? messageOf(field) : undefined;
  return [
    ...checkPlace(field, kind, family),
    ...(isLoose ? [violationAt('event-form', field)] : []),
    ...(content === undefined ? [] : checkContent(content, contract.personType)),
  ];
}

function checkDimensions(facts: DescMessage, contract: Contract): readonly Violation[] {
  const field = facts.fields.find(({ number }) => number === DIMENSIONS_NUMBER);
  const isThere =
    field?.fieldKind === 'message' &&
    field.name === 'dimensions' &&
    field.message.typeName === contract.dimensionsType;
  return isThere ? [] : [violationAt('dimensions-missing', facts)];
}

function checkSealedEvent(
  { family, message }: EventCase,
  contract: Contract,
): readonly Violation[] {
  const factsField = message.fields.find((field) => partKindOf(field, contract) === 'facts');
  const facts = factsField === undefined ? undefined : messageOf(factsField);
  return [
    ...message.fields.flatMap((field) => checkPart(field, family, contract)),
    ...(facts === undefined ? [violationAt('facts-missing', message)] : []),
    ...(facts !== undefined && family.isAboutTickets ? checkDimensions(facts, contract) : []),
  ];
}

function checkTypeNames(cases: readonly EventCase[], contract: Contract): readonly Violation[] {
  const names = cases.map(({ message }) => message.name);
  const twice = cases
    .filter(({ message }, index) => names.indexOf(message.name) !== index)
    .map(({ message }) => violationAt('type-twice', message));
  const unknown = Object.entries(contract.schemaVersions)
    .filter(([type, version]) => !names.includes(type) || !Number.isInteger(version) || version < 2)
    .map(([type]): Violation => ({ rule: 'version-unknown', message: type, field: '' }));
  return [...twice, ...unknown];
}

function checkEnumSizes(registry: FileRegistry, contract: Contract): readonly Violation[] {
  return Object.entries(contract.enumValuesMax)
    .filter(([enumType, valuesMax]) => {
      const values = registry.getEnum(enumType)?.values.filter(({ number }) => number !== 0);
      return values === undefined || values.length > valuesMax;
    })
    .map(([enumType]): Violation => ({ rule: 'enum-size', message: enumType, field: '' }));
}

/**
 * Holds compiled descriptors to the shape law: privacy is decided by what a message is made of, so a
 * message that is made otherwise must not get as far as a build.
 * @returns every violation, in the order of the contract; empty when the law is kept.
 */
export function checkShapes(registry: FileRegistry, contract: Contract): readonly Violation[] {
  const cases = eventCases(registry, contract);
  const types = [...registry].filter((type) => type.kind === 'message');
  return [
    ...contract.families.flatMap((family) => checkUnion(family, registry)),
    ...checkTypeNames(cases, contract),
    ...cases.flatMap((event) =>
      event.family.isSealed ? checkSealedEvent(event, contract) : checkOpenEvent(event.message),
    ),
    ...types.filter(isFactsType).flatMap(checkFacts),
    ...checkEnumSizes(registry, contract),
  ];
}
