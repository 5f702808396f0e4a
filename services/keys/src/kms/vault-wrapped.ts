/** What the first byte of a wrapped key says, so that bytes of another KMS are told apart. */
const format = 1;
const headerBytes = 5;

const ciphertextPattern = /^vault:v([1-9][0-9]{0,9}):([A-Za-z0-9+/]+={0,2})$/;

/**
 * Transit's text as bytes: format, version as 4 bytes, ciphertext. Base64 has several texts for the same bytes, of which
 * an attacker could choose; bytes have one form, and a third fewer.
 * Throws RangeError for what is no ciphertext of Transit.
 */
export function encodeWrapped(ciphertext: string): Buffer {
  const [, version, base64] = ciphertextPattern.exec(ciphertext) ?? [];
  if (version === undefined || base64 === undefined || Number(version) > 0xffff_ffff) {
    throw new RangeError('not a ciphertext of Transit');
  }
  const header = Buffer.alloc(headerBytes);
  header.writeUInt8(format);
  header.writeUInt32BE(Number(version), 1);
  return Buffer.concat([header, Buffer.from(base64, 'base64')]);
}

/** The text for Transit, or undefined for bytes that it never made. */
export function decodeWrapped(wrapped: Uint8Array): string | undefined {
  const bytes = Buffer.from(wrapped.buffer, wrapped.byteOffset, wrapped.length);
  if (bytes.length <= headerBytes || bytes.readUInt8() !== format) return undefined;
  const version = bytes.readUInt32BE(1);
  // Transit takes v0 for v1, a form of its first release: one version, one text.
  if (version === 0) return undefined;
  return `vault:v${version}:${bytes.subarray(headerBytes).toString('base64')}`;
}
