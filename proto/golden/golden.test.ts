import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { fromBinary } from '@bufbuild/protobuf';
import type { DescField } from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import type { ReflectMessage } from '@bufbuild/protobuf/reflect';
import { contract } from '../contract.ts';
import { descriptorsPath, readDescriptors } from '../descriptors.ts';
import type { Family } from '../families.ts';
import { PredictionEvent } from '../gen/lethe/predictions/v1/events.ts';
import { PrivacyEvent } from '../gen/lethe/privacy/v1/events.ts';
import { TicketEvent } from '../gen/lethe/tickets/v1/events.ts';
import { UsageEvent } from '../gen/lethe/usage/v1/events.ts';
import { eventShapes } from '../gen/shapes.ts';
import { schemaVersionOf } from '../schema-versions.ts';
import { eventCases } from '../shape-law.ts';
import { hasGolden, readGolden } from './golden-files.ts';

/** What the generated code of a family makes of encoded bytes. */
interface Codec {
  readonly jsonOf: (bytes: Uint8Array) => unknown;
  readonly encodedAgain: (bytes: Uint8Array) => Uint8Array;
  readonly encodedFromJson: (json: unknown) => Uint8Array;
}

interface GeneratedCode<T> {
  decode(input: Uint8Array): T;
  encode(message: T): { finish(): Uint8Array };
  toJSON(message: T): unknown;
  fromJSON(json: unknown): T;
}

function codecOf<T>(code: GeneratedCode<T>): Codec {
  return {
    jsonOf: (bytes) => code.toJSON(code.decode(bytes)),
    encodedAgain: (bytes) => code.encode(code.decode(bytes)).finish(),
    encodedFromJson: (json) => code.encode(code.fromJSON(json)).finish(),
  };
}

const codecs: { readonly [family in Family['name']]: Codec } = {
  tickets: codecOf(TicketEvent),
  predictions: codecOf(PredictionEvent),
  usage: codecOf(UsageEvent),
  privacy: codecOf(PrivacyEvent),
};

function elementsOf(message: ReflectMessage, field: DescField): readonly unknown[] {
  if (!message.isSet(field)) return [];
  return field.fieldKind === 'list' ? [...message.get(field)] : [message.get(field)];
}

/** The fields that a message leaves empty, nested ones included; a union is filled by one case. */
function emptyFields(message: ReflectMessage): readonly string[] {
  const isUnion = message.oneofs.some(({ name }) => name === 'event');
  return message.fields.flatMap((field) => {
    const elements = elementsOf(message, field);
    if (elements.length === 0) return isUnion ? [] : [`${message.desc.typeName}.${field.name}`];
    if (field.message === undefined) return [];
    return elements.flatMap((element) => emptyFields(element as ReflectMessage));
  });
}

describe('the golden records', () => {
  const registry = readDescriptors(descriptorsPath);
  const cases = eventCases(registry, contract);
  const goldens = cases.flatMap((event) => {
    const type = event.message.name;
    const versions = Array.from({ length: schemaVersionOf(type) }, (_, index) => index + 1);
    return versions.map((schemaVersion) => ({ event, type, schemaVersion }));
  });

  it('cover every event type and version: npm run golden -w @lethe/proto adds missing ones', () => {
    const missing = goldens.filter(({ type, schemaVersion }) => !hasGolden(type, schemaVersion));
    assert.deepEqual(
      missing.map(({ type, schemaVersion }) => `${type}.v${schemaVersion}`),
      [],
    );
  });

  it('are of event types and versions that the contract knows', () => {
    const known = new Set(goldens.map(({ type, schemaVersion }) => `${type}.v${schemaVersion}`));
    const strays = readdirSync(import.meta.dirname)
      .filter((file) => /\.(?:hex|json)$/u.test(file))
      .filter((file) => !known.has(file.replace(/\.(?:hex|json)$/u, '')));
    assert.deepEqual(strays, []);
  });

  for (const { event, type, schemaVersion } of goldens) {
    it(`${type}.v${schemaVersion} decodes to what it was, and encodes to the same bytes`, () => {
      const { bytes, json } = readGolden(type, schemaVersion);
      const codec = codecs[event.family.name];
      assert.deepEqual(codec.jsonOf(bytes), json);
      assert.deepEqual(Buffer.from(codec.encodedAgain(bytes)), Buffer.from(bytes));
      assert.deepEqual(Buffer.from(codec.encodedFromJson(json)), Buffer.from(bytes));
    });
  }

  it('fill every field in the current version: a new field wants a new schema version', () => {
    const empty = cases.flatMap(({ message, unionField }) => {
      const { bytes } = readGolden(message.name, schemaVersionOf(message.name));
      const union = unionField.parent;
      return emptyFields(reflect(union, fromBinary(union, bytes)));
    });
    assert.deepEqual(empty, []);
  });
});

describe('the generated shapes', () => {
  const registry = readDescriptors(descriptorsPath);
  const sealed = eventCases(registry, contract).filter(({ family }) => family.isSealed);

  it('list every sealed event type, sorted, and nothing else', () => {
    assert.deepEqual(
      Object.keys(eventShapes),
      sealed.map(({ message }) => message.name).toSorted(),
    );
    assert.equal(eventShapes['constructor'], undefined);
  });

  it('name the case by which the generated code knows the event', () => {
    for (const { family, message } of sealed) {
      const shape = eventShapes[message.name];
      const { bytes } = readGolden(message.name, schemaVersionOf(message.name));
      const code = { tickets: TicketEvent, predictions: PredictionEvent, usage: UsageEvent };
      assert.ok(shape !== undefined && family.name !== 'privacy');
      const { event } = code[family.name].decode(bytes);
      assert.ok(event !== undefined);
      assert.equal(event.$case, shape.unionCase);
      assert.deepEqual(
        Object.keys(event.value),
        shape.parts.map(({ name }) => name),
      );
    }
  });
});
