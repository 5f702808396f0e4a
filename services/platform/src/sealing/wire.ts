import { ServiceError } from '../errors/service-error.ts';

/** One length-delimited field of an encoded message. */
export interface WireField {
  readonly fieldNumber: number;
  /** Without tag and length; a view, not a copy. */
  readonly bytes: Buffer;
}

const lengthDelimited = 2;

function malformed(rule: string): ServiceError {
  return new ServiceError('MALFORMED_MESSAGE', `the encoded event ${rule}`);
}

/** A varint of at most 32 bits; refuses padded ones, so that joining what was split gives the same bytes. */
function readVarint(bytes: Buffer, from: number): { readonly value: number; readonly end: number } {
  let value = 0;
  for (let index = 0; index < 5; index += 1) {
    const byte = bytes[from + index];
    if (byte === undefined) throw malformed('ends inside a field');
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) {
      if (byte === 0 && index > 0) throw malformed('has a padded number');
      if (value > 0xffff_ffff) break;
      return { value, end: from + index + 1 };
    }
  }
  throw malformed('has a tag or length of more than 32 bits');
}

function varintBytes(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) + 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}

/**
 * The top-level fields of an encoded message whose fields are all messages, in their order on the wire.
 * Throws MALFORMED_MESSAGE on anything else; `joinFields` of the answer gives the same bytes again.
 */
export function splitFields(message: Uint8Array): WireField[] {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.length);
  const fields: WireField[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = readVarint(bytes, at);
    const fieldNumber = Math.floor(tag.value / 8);
    if (fieldNumber === 0) throw malformed('has a field with number 0');
    if (tag.value % 8 !== lengthDelimited) {
      throw malformed(`has field ${fieldNumber}, which is not a message`);
    }
    const length = readVarint(bytes, tag.end);
    const end = length.end + length.value;
    if (end > bytes.length) throw malformed('ends inside a field');
    fields.push({ fieldNumber, bytes: bytes.subarray(length.end, end) });
    at = end;
  }
  return fields;
}

/** Encodes length-delimited fields one after another. */
export function joinFields(
  fields: readonly { readonly fieldNumber: number; readonly bytes: Uint8Array }[],
): Buffer {
  return Buffer.concat(
    fields.flatMap(({ fieldNumber, bytes }) => [
      varintBytes(fieldNumber * 8 + lengthDelimited),
      varintBytes(bytes.length),
      bytes,
    ]),
  );
}
