import { createHash } from 'node:crypto';
import { ScalarType, create } from '@bufbuild/protobuf';
import type { DescEnum, DescField, DescMessage, Message } from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import type { ReflectMessage } from '@bufbuild/protobuf/reflect';
import { TimestampSchema } from '@bufbuild/protobuf/wkt';
import type { Timestamp } from '@bufbuild/protobuf/wkt';
import type { EventCase } from '../shape-law.ts';

/** Two, so that a decoder that keeps only the first or the last is noticed. */
const LIST_LENGTH = 2;

/** The lengths of the fixed-size byte fields of the contract; others get eight bytes. */
function byteLengthOf(name: string): number {
  if (name.endsWith('sha256')) return 32;
  return /token|event_id/u.test(name) ? 16 : 8;
}

/** Bytes that follow from the place alone, so that the same contract gives the same record. */
function digestAt(place: string): Buffer {
  return createHash('sha256').update(place).digest();
}

function textAt(place: string, name: string): string {
  const hex = digestAt(place).toString('hex');
  if (name === 'email') return `${hex.slice(0, 8)}@example.com`;
  // 555-0100 to 555-0199 belong to nobody.
  if (name === 'phone') return `+120255501${10 + (digestAt(place).readUInt32BE() % 90)}`;
  if (name.endsWith('_id') && !name.endsWith('natural_id')) {
    return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/u, '$1-$2-7$3-8$4-$5');
  }
  // Beyond ASCII on purpose: lengths on the wire are bytes, not characters.
  return `${name} ${hex.slice(0, 6)} é€😀`;
}

type ScalarValue = string | number | bigint | boolean | Uint8Array;

const WIDE_INTEGERS: ReadonlySet<ScalarType> = new Set([
  ScalarType.INT64,
  ScalarType.UINT64,
  ScalarType.SINT64,
  ScalarType.FIXED64,
  ScalarType.SFIXED64,
]);

function scalarAt(place: string, name: string, scalar: ScalarType): ScalarValue {
  if (scalar === ScalarType.STRING) return textAt(place, name);
  if (scalar === ScalarType.BYTES) {
    return new Uint8Array(digestAt(place).subarray(0, byteLengthOf(name)));
  }
  if (scalar === ScalarType.BOOL) return true;
  // One to five is a valid value of everything that the contract counts, satisfaction included.
  const small = 1 + (digestAt(place).readUInt32BE() % 5);
  // Beyond 2^53: a decoder that takes 64-bit numbers for doubles is noticed.
  return WIDE_INTEGERS.has(scalar) ? 2n ** 53n + BigInt(small) : small;
}

function enumValueAt(place: string, type: DescEnum): number {
  const values = type.values.filter(({ number }) => number !== 0);
  const value = values[digestAt(place).readUInt32BE() % values.length];
  if (value === undefined) throw new RangeError(`${type.typeName} has no value beside zero`);
  return value.number;
}

function timestampAt(place: string): Timestamp {
  const secondsInYear = digestAt(place).readUInt32BE() % 31_536_000;
  const nanos = 123_000_000;
  return create(TimestampSchema, { seconds: 1_704_067_200n + BigInt(secondsInYear), nanos });
}

function messageAt(place: string, type: DescMessage): ReflectMessage {
  if (type.typeName === TimestampSchema.typeName) {
    return reflect(TimestampSchema, timestampAt(place));
  }
  const message = reflect(type);
  fill(message, place);
  return message;
}

function elementAt(place: string, field: DescField): ScalarValue | ReflectMessage {
  if (field.message !== undefined) return messageAt(place, field.message);
  if (field.enum !== undefined) return enumValueAt(place, field.enum);
  return scalarAt(place, field.name, field.scalar);
}

function fill(message: ReflectMessage, place: string): void {
  for (const field of message.fields) {
    const fieldPlace = `${place}.${field.name}`;
    if (field.fieldKind === 'map') {
      throw new TypeError(
        `${field.parent.typeName}.${field.name} is a map: its bytes have no one order`,
      );
    }
    if (field.fieldKind === 'list') {
      const list = message.get(field);
      for (let index = 0; index < LIST_LENGTH; index++) {
        list.add(elementAt(`${fieldPlace}[${index}]`, field));
      }
    } else {
      message.set(field, elementAt(fieldPlace, field));
    }
  }
}

/**
 * A family union with this event in it, every field filled with generated values that follow from the
 * event type and the field names alone.
 */
export function exampleEvent({ unionField, message }: EventCase): Message {
  const union = reflect(unionField.parent);
  union.set(unionField, messageAt(message.name, message));
  return union.message;
}
