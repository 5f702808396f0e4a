import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type SealingVectors, sealingVectors } from '../testing/sealing-vectors.ts';

/*
 * The published vectors, read by a second implementation that shares nothing with ours: WebCrypto, and an encoding of
 * its own written from docs/sealing-format.md.
 */
const docs = new URL('../../../../docs/', import.meta.url);
const { subtle } = webcrypto;

const parseVectors = (text: string): SealingVectors => JSON.parse(text) as SealingVectors;
const published = parseVectors(readFileSync(new URL('sealing-vectors.json', docs), 'utf8'));

const bytesOf = (hex: string): Buffer<ArrayBuffer> => Buffer.from(hex, 'hex');
const number = (value: number | bigint, sizeBytes: number): string =>
  BigInt(value)
    .toString(16)
    .padStart(2 * sizeBytes, '0');
const sized = (hex: string): string => number(hex.length / 2, 4) + hex;
const text = (value: string): string => sized(Buffer.from(value).toString('hex'));

type ListedPart = SealingVectors['record']['parts'][number];
type SealedVector = { dataKey: string; nonce: string; associatedData: string; plaintext: string };

const scope = (part: { scopeKind: number; scopeToken: string; incarnation: number }): string =>
  number(part.scopeKind, 1) + sized(part.scopeToken) + number(part.incarnation, 4);

function partAssociatedData(own: ListedPart): string {
  const { header, parts } = published.record;
  return [
    text('lethe.sealing.part.v1'),
    text(header.tenantId),
    sized(header.eventId),
    text(header.type),
    sized(header.streamToken),
    number(header.position, 8),
    number(header.occurredAtMs, 8),
    number(header.recordedAtMs, 8),
    number(header.schemaVersion, 4),
    sized(header.causationId),
    number(parts.length, 4),
    ...parts.map((part) => text(part.name) + scope(part) + (part.erasedAtAppend ? '01' : '00')),
    text(own.name),
    scope(own),
  ].join('');
}

function valueAssociatedData(): string {
  const { tenantId, streamToken, version, name } = published.value;
  const head = [text('lethe.sealing.value.v1'), text(tenantId), sized(streamToken)];
  return [...head, number(version, 8), text(name), scope(published.value)].join('');
}

async function keyIdOf(dataKey: string): Promise<string> {
  const material = await subtle.importKey('raw', bytesOf(dataKey), 'HKDF', false, ['deriveBits']);
  const info = new TextEncoder().encode('commit');
  const parameters = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(0), info };
  return Buffer.from(await subtle.deriveBits(parameters, material, 128)).toString('hex');
}

async function openBox(dataKey: string, associatedData: string, box: string): Promise<string> {
  assert.equal(box.slice(0, 2), '01');
  assert.equal(box.slice(2, 34), await keyIdOf(dataKey));
  const aesKey = await subtle.importKey('raw', bytesOf(dataKey), 'AES-GCM', false, ['decrypt']);
  const iv = bytesOf(box.slice(34, 58));
  const additionalData = bytesOf(associatedData);
  const ciphertextAndTag = bytesOf(box.slice(58));
  const parameters = { name: 'AES-GCM', iv, additionalData, tagLength: 128 };
  return Buffer.from(await subtle.decrypt(parameters, aesKey, ciphertextAndTag)).toString('hex');
}

async function keyedHash(macKey: string, input: string, sizeBytes: number): Promise<string> {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const imported = await subtle.importKey('raw', bytesOf(macKey), algorithm, false, ['sign']);
  const mac = Buffer.from(await subtle.sign('HMAC', imported, bytesOf(input)));
  return mac.subarray(0, sizeBytes).toString('hex');
}

async function eventIdOf(input: string): Promise<string> {
  const hash = await keyedHash(published.ids.tokenKey, input, 16);
  const variant = ((Number.parseInt(hash.charAt(16), 16) & 0x3) | 0x8).toString(16);
  const hex = `${hash.slice(0, 12)}8${hash.slice(13, 16)}${variant}${hash.slice(17)}`;
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

describe('the published sealing vectors', () => {
  it('are what this implementation makes', () => {
    assert.deepEqual(published, parseVectors(JSON.stringify(sealingVectors())));
  });

  it('stand in the page that explains them', () => {
    const page = readFileSync(new URL('sealing-format.md', docs), 'utf8').replaceAll(/\s/g, '');
    const content = published.record.parts.find(({ name }) => name === 'content');
    assert.ok(content !== undefined && 'dataKey' in content);
    const shown: string[] = [
      content.dataKey,
      content.keyId,
      content.nonce,
      content.associatedData,
      content.plaintext,
      content.box,
      ...published.ids.tokens.map(({ token }) => token),
    ];
    for (const value of shown) assert.ok(page.includes(value), value);
  });

  it('open for a second implementation', async () => {
    let boxes = 0;
    for (const part of published.record.parts) {
      if (!('dataKey' in part)) continue;
      const vector: SealedVector = part;
      const associatedData = partAssociatedData(part);
      assert.equal(associatedData, vector.associatedData);
      assert.equal(part.box.slice(34, 58), vector.nonce);
      assert.equal(await openBox(vector.dataKey, associatedData, part.box), vector.plaintext);
      boxes += 1;
    }
    assert.equal(boxes, 4);
    const { value } = published;
    assert.equal(valueAssociatedData(), value.associatedData);
    assert.equal(await openBox(value.dataKey, value.associatedData, value.box), value.plaintext);
  });

  it('show the facts inside their envelope, and all parts make the event', () => {
    const { record } = published;
    const plaintexts = record.parts.map((part) => ('dataKey' in part ? part.plaintext : ''));
    const facts = record.eventBytes.slice(4, 4 + 8);
    const expected = `0a04${facts}1208${record.requesterContributor}`;
    assert.equal(plaintexts[0], expected);
    let at = 4 + 8;
    for (const [index, part] of record.parts.entries()) {
      if (index === 0 || part.erasedAtAppend) continue;
      const plaintext = plaintexts[index] ?? '';
      const field =
        number(part.fieldNumber * 8 + 2, 1) + number(plaintext.length / 2, 1) + plaintext;
      assert.equal(record.eventBytes.slice(at, at + field.length), field);
      at += field.length;
    }
    for (const part of record.parts) assert.ok(record.encodedRecord.includes(part.box));
  });

  it('give the same digests, tokens, ids and contributors', async () => {
    const { contentDigest: digest, ids, contributor } = published;
    const input = [
      text('lethe.content-digest.v1'),
      text(digest.type),
      number(digest.occurredAtMs, 8),
      sized(digest.causationId),
      sized(digest.eventBytes),
    ].join('');
    assert.equal(await keyedHash(digest.digestKey, input, 32), digest.digest);
    for (const { kind, canonical, token } of ids.tokens) {
      const tokenInput = text('lethe.token.v1') + text(kind) + text(canonical);
      assert.equal(await keyedHash(ids.tokenKey, tokenInput, 16), token);
    }
    for (const { sourceId, eventId } of ids.sourceEventIds) {
      const canonical = sourceId.trim().normalize('NFC');
      assert.equal(await eventIdOf(text('lethe.event-id.source.v1') + text(canonical)), eventId);
    }
    for (const { parts, eventId } of ids.derivedEventIds) {
      const values = parts.map(text).join('');
      assert.equal(await eventIdOf(text('lethe.event-id.derived.v1') + values), eventId);
    }
    const contributorInput = text('lethe.contributor.v1') + sized(contributor.personToken);
    assert.equal(
      await keyedHash(contributor.contributorKey, contributorInput, 8),
      contributor.contributor,
    );
  });
});
