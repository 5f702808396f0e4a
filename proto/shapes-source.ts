import type { FileRegistry } from '@bufbuild/protobuf';
import type { Contract } from './families.ts';
import { schemaVersionOf } from './schema-versions.ts';
import { eventCases, partKindOf } from './shape-law.ts';
import type { EventCase } from './shape-law.ts';

const HEAD = `// Generated from proto/gen/descriptors.binpb by proto/generate-shapes.ts. Do not edit.

/** What a part of an event is, which decides the key that it is sealed under. */
export type PartKind = 'facts' | 'content' | 'person';

/** What an event type is made of, so that one sealer serves every type. */
export interface EventShape {
  /** The event type: the message's name, for example 'TicketOpened'. */
  readonly type: string;
  readonly family: 'tickets' | 'predictions' | 'usage';
  /** The event's field number in the family's union. */
  readonly unionField: number;
  /** The event's $case in the family's union, for example 'ticketOpened'. */
  readonly unionCase: string;
  /** The version in which events of this type are written now. */
  readonly schemaVersion: number;
  /** The parts, by rising field number. */
  readonly parts: readonly {
    readonly fieldNumber: number;
    /** The field's name in the generated code, for example 'requester'. */
    readonly name: string;
    readonly kind: PartKind;
    readonly repeated: boolean;
  }[];
}

/** The shapes by event type, sorted. It has no prototype, so a foreign type name finds nothing. */
export const eventShapes: { readonly [type: string]: EventShape } = Object.assign(
  Object.create(null) as { readonly [type: string]: EventShape },
`;

function shapeOf(event: EventCase, contract: Contract): object {
  const parts = event.message.fields.map((field) => ({
    fieldNumber: field.number,
    name: field.localName,
    kind: partKindOf(field, contract),
    repeated: field.fieldKind === 'list',
  }));
  return {
    type: event.message.name,
    family: event.family.name,
    unionField: event.unionField.number,
    unionCase: event.unionField.localName,
    schemaVersion: schemaVersionOf(event.message.name, contract.schemaVersions),
    parts: parts.toSorted((left, right) => left.fieldNumber - right.fieldNumber),
  };
}

/**
 * The source of gen/shapes.ts, the same for the same descriptors. The descriptors must keep the shape law.
 */
export function shapesSource(registry: FileRegistry, contract: Contract): string {
  const shapes = eventCases(registry, contract)
    .filter(({ family }) => family.isSealed)
    .map((event): [string, object] => [event.message.name, shapeOf(event, contract)])
    .toSorted(([left], [right]) => (left < right ? -1 : 1));
  return `${HEAD}  ${JSON.stringify(Object.fromEntries(shapes), undefined, 2)} as const,\n);\n`;
}
