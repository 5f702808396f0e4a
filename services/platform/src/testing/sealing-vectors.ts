import { createSecretKey } from 'node:crypto';
import { Record as LogRecord, type SealedPart } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { type EventId, type TenantId, type Token, tokenBytes } from '../ids/ids.ts';
import { createContributorMaker, createTokenMaker } from '../ids/token-maker.ts';
import {
  partAssociatedData,
  type ValueBinding,
  valueAssociatedData,
} from '../sealing/associated-data.ts';
import { openBox } from '../sealing/box.ts';
import { contentDigest } from '../sealing/content-digest.ts';
import { scopeOfPart } from '../sealing/part.ts';
import { sealValue } from '../sealing/value.ts';
import { labelledBytes, labelledRandomness, sealingSample } from './sealing-sample.ts';
import { testLease } from './test-lease.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const tenantId = 'acme' as TenantId;
const causationId = '0198c1de-5e00-7abc-8def-0123456789aa' as EventId;

/** The secret of each data key of the sample, by part. */
const secretLabels: Readonly<Record<string, string>> = {
  facts: 'data key/facts',
  content: 'data key/ticket',
  author: 'data key/person/author',
  'cc/0': 'data key/person/cc',
};

function partVector(part: SealedPart, fieldNumber: number, associatedData: Buffer) {
  const listed = {
    name: part.name,
    fieldNumber,
    scopeKind: part.scopeKind,
    scopeToken: hex(part.scopeToken),
    incarnation: part.incarnation,
    erasedAtAppend: part.erasedAtAppend,
    box: hex(part.box),
  };
  const scope = scopeOfPart(part);
  const label = secretLabels[part.name];
  if (part.erasedAtAppend || scope === undefined || label === undefined) return listed;
  const secretBytes = labelledBytes(label, 32);
  const { dataKey } = testLease({ tenantId, scope, secretBytes });
  return {
    ...listed,
    dataKey: hex(secretBytes),
    keyId: hex(dataKey.keyId),
    nonce: hex(part.box.subarray(17, 29)),
    associatedData: hex(associatedData),
    plaintext: hex(openBox(dataKey, associatedData, part.box)),
  };
}

function recordVector() {
  const { event, eventBytes, contributors, sealed } = sealingSample();
  const record = sealed();
  const { header } = event;
  const associatedDataOf = partAssociatedData(header, record.parts);
  return {
    header: {
      tenantId: header.tenantId,
      eventId: hex(header.eventId),
      type: header.type,
      streamToken: hex(header.streamToken),
      position: Number(header.position),
      occurredAtMs: Number(header.occurredAtMs),
      recordedAtMs: Number(header.recordedAtMs),
      schemaVersion: header.schemaVersion,
      causationId: hex(header.causationId),
    },
    eventBytes: hex(eventBytes),
    requesterContributor: hex(contributors.requester ?? Buffer.alloc(0)),
    agentContributor: hex(contributors.agent ?? Buffer.alloc(0)),
    parts: record.parts.map((part, index) =>
      partVector(part, event.parts[index]?.fieldNumber ?? 0, associatedDataOf(part)),
    ),
    encodedRecord: hex(LogRecord.encode(record).finish()),
  };
}

function valueVector() {
  const secretBytes = labelledBytes('data key/ticket', 32);
  const streamToken = hex(labelledBytes('ticket', 16)) as Token;
  const lease = testLease({ tenantId, scope: { kind: 'ticket', token: streamToken }, secretBytes });
  const binding: ValueBinding = { tenantId, name: 'ticket-state', streamToken, version: 7n };
  const plaintext = Buffer.from('any bytes');
  const box = sealValue(lease, binding, plaintext, labelledRandomness('value nonce'));
  return {
    tenantId,
    streamToken,
    version: 7,
    name: binding.name,
    scopeKind: 2,
    scopeToken: streamToken,
    incarnation: 1,
    dataKey: hex(secretBytes),
    keyId: hex(lease.dataKey.keyId),
    nonce: hex(box.subarray(17, 29)),
    associatedData: hex(valueAssociatedData(binding, lease.scope, lease.incarnation)),
    plaintext: hex(plaintext),
    box: hex(box),
  };
}

function digestVector() {
  const digestKeyBytes = labelledBytes('digest key', 32);
  const { eventBytes } = sealingSample();
  const digest = contentDigest(
    createSecretKey(digestKeyBytes),
    'MessageAdded',
    1_753_000_000_123n,
    causationId,
    eventBytes,
  );
  return {
    digestKey: hex(digestKeyBytes),
    type: 'MessageAdded',
    occurredAtMs: 1_753_000_000_123,
    causationId: causationId.replaceAll('-', ''),
    eventBytes: hex(eventBytes),
    digest: hex(digest),
  };
}

const aliases = [
  { kind: 'email', value: ' Ada@Example.COM', canonical: 'ada@example.com' },
  { kind: 'phone', value: '+49 (0)30 23125-123', canonical: '493023125123' },
  { kind: 'phone', value: '0049 30 23125123', canonical: '493023125123' },
  { kind: 'phone', value: '030 23125123', canonical: '03023125123' },
  { kind: 'phone', value: 'unknown', canonical: 'unknown' },
  { kind: 'id', value: 'crm:7 ', canonical: 'crm:7' },
] as const;

function tokenVectors() {
  const tokenKeyBytes = labelledBytes('token key', 32);
  const maker = createTokenMaker(createSecretKey(tokenKeyBytes));
  const decomposed = 'Zoe\u0308';
  return {
    tokenKey: hex(tokenKeyBytes),
    tokens: [
      { kind: 'ticket', value: ' T-1001', canonical: 'T-1001', token: maker.ticket(' T-1001') },
      { kind: 'person', value: decomposed, canonical: 'Zo\u00eb', token: maker.person(decomposed) },
      ...aliases.map(({ kind, value, canonical }) => ({
        kind: `alias:${kind}`,
        value,
        canonical,
        token: maker.alias(kind, value),
      })),
    ],
    sourceEventIds: [
      { sourceId: 'INC0001/17', eventId: maker.eventIdFromSource('INC0001/17') },
      { sourceId: ' Zoe\u0308 ', eventId: maker.eventIdFromSource(' Zoe\u0308 ') },
    ],
    derivedEventIds: [
      { parts: ['a', 'bc'], eventId: maker.derivedEventId('a', 'bc') },
      { parts: ['ab', 'c'], eventId: maker.derivedEventId('ab', 'c') },
    ],
  };
}

function contributorVector() {
  const contributorKeyBytes = labelledBytes('contributor key', 32);
  const personToken = hex(labelledBytes('person/author', 16)) as Token;
  const maker = createContributorMaker(createSecretKey(contributorKeyBytes));
  return {
    contributorKey: hex(contributorKeyBytes),
    personToken: hex(tokenBytes(personToken)),
    contributor: hex(maker(personToken)),
  };
}

/** All vectors of docs/sealing-vectors.json; the same at every call. Bytes are hex. */
export function sealingVectors() {
  return {
    record: recordVector(),
    value: valueVector(),
    contentDigest: digestVector(),
    ids: tokenVectors(),
    contributor: contributorVector(),
  };
}

export type SealingVectors = ReturnType<typeof sealingVectors>;
