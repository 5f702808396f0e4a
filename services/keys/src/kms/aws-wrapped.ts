/** What the first byte of a wrapped key says, so that bytes of another KMS are told apart. */
const format = 2;
const keyIdBytes = 16;
const headerBytes = 1 + keyIdBytes;
const keyIdPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** What AWS has encrypted, and the key that it must be decrypted with. */
export interface AwsCiphertext {
  readonly keyId: string;
  readonly blob: Uint8Array;
}

/** As bytes: format, the key's id, ciphertext. Throws RangeError for an id that is no UUID in lower case. */
export function encodeAwsWrapped({ keyId, blob }: AwsCiphertext): Buffer {
  if (!keyIdPattern.test(keyId)) throw new RangeError('not the id of a single-region KMS key');
  const idBytes = Buffer.from(keyId.replaceAll('-', ''), 'hex');
  return Buffer.concat([Buffer.from([format]), idBytes, blob]);
}

/** Undefined for bytes that were never made here. */
export function decodeAwsWrapped(wrapped: Uint8Array): AwsCiphertext | undefined {
  const bytes = Buffer.from(wrapped.buffer, wrapped.byteOffset, wrapped.length);
  if (bytes.length <= headerBytes || bytes.readUInt8() !== format) return undefined;
  const id = bytes.toString('hex', 1, headerBytes);
  const keyId = [id.slice(0, 8), id.slice(8, 12), id.slice(12, 16), id.slice(16, 20), id.slice(20)];
  return { keyId: keyId.join('-'), blob: bytes.subarray(headerBytes) };
}
