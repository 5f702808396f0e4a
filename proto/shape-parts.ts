import { ScalarType } from '@bufbuild/protobuf';
import type { DescField, DescMessage } from '@bufbuild/protobuf';
import type { ShapeRule, Violation } from './shape-rules.ts';

const TIMESTAMP = 'google.protobuf.Timestamp';
const ANY = 'google.protobuf.Any';

/** A violation at a field, or at a whole message. */
export function violationAt(rule: ShapeRule, place: DescField | DescMessage): Violation {
  return place.kind === 'field'
    ? { rule, message: place.parent.typeName, field: place.name }
    : { rule, message: place.typeName, field: '' };
}

/** The scalar type of a field or of its list's elements. */
function scalarOf(field: DescField): ScalarType | undefined {
  return field.fieldKind === 'scalar' || field.fieldKind === 'list' ? field.scalar : undefined;
}

/** The message type of a field, of its list's elements or of its map's values. */
export function messageOf(field: DescField): DescMessage | undefined {
  return field.fieldKind === 'enum' || field.fieldKind === 'scalar' ? undefined : field.message;
}

/** Whether a message is one of facts by its name. */
export function isFactsType(message: DescMessage): boolean {
  return message.name.endsWith('Facts');
}

/** Every message that can be reached from `root` through fields, `root` first, each once. */
function reachableFrom(root: DescMessage): readonly DescMessage[] {
  const reached = new Set([root]);
  // A Set hands out what is added while it is walked, so this visits every message once.
  for (const message of reached) {
    for (const field of message.fields) {
      const nested = messageOf(field);
      if (nested !== undefined) reached.add(nested);
    }
  }
  return [...reached];
}

function isRecursive(message: DescMessage): boolean {
  return message.fields.some((field) => {
    const nested = messageOf(field);
    return nested !== undefined && reachableFrom(nested).includes(message);
  });
}

function checkFactsField(field: DescField): readonly Violation[] {
  if (field.fieldKind === 'map') return [violationAt('facts-map', field)];
  const violations: Violation[] = [];
  const scalar = scalarOf(field);
  if (scalar === ScalarType.STRING || scalar === ScalarType.BYTES) {
    violations.push(violationAt('facts-text', field));
  }
  if (scalar === ScalarType.FLOAT || scalar === ScalarType.DOUBLE) {
    violations.push(violationAt('facts-float', field));
  }
  if (field.fieldKind === 'list' && field.listKind !== 'enum') {
    violations.push(violationAt('facts-repeated', field));
  }
  const nested = messageOf(field);
  if (nested !== undefined && !isFactsType(nested) && nested.typeName !== TIMESTAMP) {
    violations.push(violationAt('facts-message', field));
  }
  return violations;
}

/**
 * Holds one message of facts to the law. What it nests is either named Facts, and is then held to the law
 * on its own, or refused: so a whole contract is checked by checking each such message once.
 */
export function checkFacts(facts: DescMessage): readonly Violation[] {
  const violations = facts.fields.flatMap(checkFactsField);
  return isRecursive(facts) ? [...violations, violationAt('facts-recursive', facts)] : violations;
}

/** Holds the content of an event to the law, with everything nested in it. */
export function checkContent(content: DescMessage, personType: string): readonly Violation[] {
  return reachableFrom(content)
    .filter((message) => message.typeName !== personType)
    .flatMap((message) => message.fields)
    .flatMap((field) => {
      const nested = messageOf(field);
      if (nested?.typeName === personType) return [violationAt('content-person', field)];
      const isOpen = field.fieldKind === 'map' || nested?.typeName === ANY;
      return isOpen ? [violationAt('content-open', field)] : [];
    });
}

const OPEN_TEXT = /^(?:region|service|(?:\w+_)?services|\w+_id)$/u;
const OPEN_BYTES = /^(?:(?:\w+_)?tokens?|\w+_sha256)$/u;

function isOpenFieldAllowed(field: DescField): boolean {
  if (field.fieldKind === 'map' || messageOf(field)?.typeName === ANY) return false;
  const scalar = scalarOf(field);
  if (scalar === ScalarType.STRING) return OPEN_TEXT.test(field.name);
  if (scalar === ScalarType.BYTES) return OPEN_BYTES.test(field.name);
  return true;
}

/** Holds an event that is never sealed to the law, with everything nested in it. */
export function checkOpenEvent(event: DescMessage): readonly Violation[] {
  return reachableFrom(event)
    .flatMap((message) => message.fields)
    .filter((field) => !isOpenFieldAllowed(field))
    .map((field) => violationAt('privacy-text', field));
}
