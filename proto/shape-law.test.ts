import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { contract } from './contract.ts';
import { descriptorsPath, readDescriptors } from './descriptors.ts';
import type { Contract, Family } from './families.ts';
import { checkShapes } from './shape-law.ts';
import { describeViolation, shapeRules } from './shape-rules.ts';
import type { ShapeRule, Violation } from './shape-rules.ts';

const IMPORTS = ['any', 'struct', 'timestamp', 'wrappers']
  .map((name) => `import "google/protobuf/${name}.proto";\n`)
  .join('');

/** A small contract of its own: one event Done about a ticket, into which a case puts its breach. */
interface Fixture {
  readonly rule: ShapeRule;
  /** The places that must be named, as message.field without the package. */
  readonly at: readonly string[];
  readonly event?: string;
  readonly facts?: string;
  readonly union?: string;
  readonly more?: string;
  readonly family?: Partial<Family>;
  readonly contract?: Partial<Contract>;
}

const FACTS = 'Dimensions0Facts dimensions = 15;';
const EVENT = 'DoneFacts facts = 1;';
const UNION = 'oneof event { Done done = 1; }';
const PERSON = 'lethe.people.v1.Person';

const fixtures: { readonly [name: string]: Fixture } = {
  'a missing union': {
    rule: 'union-missing',
    at: ['NoSuchEvent'],
    family: { union: 'NoSuchEvent' },
  },
  'a case outside the oneof': {
    rule: 'union-form',
    at: ['AnyEvent.done'],
    union: 'Done done = 1;',
  },
  'a oneof of another name': {
    rule: 'union-form',
    at: ['AnyEvent.done'],
    union: 'oneof kind { Done done = 1; }',
  },
  'a case that is no message': {
    rule: 'union-form',
    at: ['AnyEvent.note'],
    union: 'oneof event { Done done = 1; string note = 2; }',
  },
  'a case of another package': {
    rule: 'union-form',
    at: ['AnyEvent.person'],
    union: `oneof event { Done done = 1; ${PERSON} person = 2; }`,
  },
  'a case named otherwise than its event': {
    rule: 'union-case',
    at: ['AnyEvent.finished'],
    union: 'oneof event { Done finished = 1; }',
  },
  'an event that is in no union': {
    rule: 'union-strays',
    at: ['Forgotten'],
    more: 'message Forgotten { DoneFacts facts = 1; }',
  },
  'a string in an event': {
    rule: 'event-field',
    at: ['Done.note'],
    event: `${EVENT} string note = 3;`,
  },
  'a map of persons in an event': {
    rule: 'event-field',
    at: ['Done.readers'],
    event: `${EVENT} map<string, ${PERSON}> readers = 3;`,
  },
  'another message in an event': {
    rule: 'event-field',
    at: ['Done.at'],
    event: `${EVENT} google.protobuf.Timestamp at = 3;`,
  },
  'a message that is only called Person': {
    rule: 'event-field',
    at: ['Done.author'],
    event: `${EVENT} Person author = 3; message Person { string name = 1; }`,
  },
  'persons in a oneof': {
    rule: 'event-form',
    at: ['Done.agent'],
    event: `${EVENT} oneof who { ${PERSON} agent = 3; }`,
  },
  'repeated facts': {
    rule: 'event-form',
    at: ['Done.facts'],
    event: 'repeated DoneFacts facts = 1;',
  },
  'an event without facts': { rule: 'facts-missing', at: ['Done'], event: `${PERSON} agent = 3;` },
  'facts elsewhere than in field 1': {
    rule: 'facts-place',
    at: ['Done.facts'],
    event: 'DoneFacts facts = 4;',
  },
  'second facts': {
    rule: 'facts-place',
    at: ['Done.more'],
    event: `${EVENT} DoneFacts more = 4;`,
  },
  'content elsewhere than in field 2': {
    rule: 'content-place',
    at: ['Done.content'],
    event: `${EVENT} DoneContent content = 4; message DoneContent { string text = 1; }`,
  },
  'content without a ticket to seal it under': {
    rule: 'content-without-ticket',
    at: ['Done.content'],
    event: `${EVENT} DoneContent content = 2; message DoneContent { string text = 1; }`,
    family: { isAboutTickets: false },
  },
  'a person in a place of facts or content': {
    rule: 'person-place',
    at: ['Done.author'],
    event: `${EVENT} ${PERSON} author = 2;`,
  },
  'facts of a ticket event without dimensions': {
    rule: 'dimensions-missing',
    at: ['DoneFacts'],
    facts: 'int32 count = 1;',
  },
  'dimensions of another type': {
    rule: 'dimensions-missing',
    at: ['DoneFacts'],
    facts: 'OtherFacts dimensions = 15; message OtherFacts { bool is_late = 1; }',
  },
  'text in facts': {
    rule: 'facts-text',
    at: [
      'DoneFacts.note',
      'DoneFacts.data',
      'DoneFacts.tags',
      'DoneFacts.comment',
      'DoneFacts.either',
    ],
    facts: `${FACTS} string note = 1; bytes data = 2; repeated string tags = 3;
      optional string comment = 4; oneof choice { string either = 5; int32 or = 6; }`,
  },
  'text in facts within facts': {
    rule: 'facts-text',
    at: ['DoneFacts.InnerFacts.MostFacts.note'],
    facts: `${FACTS} InnerFacts inner = 1;
      message InnerFacts { MostFacts most = 1; message MostFacts { string note = 1; } }`,
  },
  'text in facts that no event uses': {
    rule: 'facts-text',
    at: ['Done.IdleFacts.note'],
    event: `${EVENT} message IdleFacts { string note = 1; }`,
  },
  'floating-point numbers in facts': {
    rule: 'facts-float',
    at: ['DoneFacts.score', 'DoneFacts.share'],
    facts: `${FACTS} float score = 1; double share = 2;`,
  },
  'maps in facts': {
    rule: 'facts-map',
    at: ['DoneFacts.by_name', 'DoneFacts.by_number'],
    facts: `${FACTS} map<string, int32> by_name = 1; map<int32, bool> by_number = 2;`,
  },
  'lists of numbers, times or messages in facts': {
    rule: 'facts-repeated',
    at: ['DoneFacts.letters', 'DoneFacts.times', 'DoneFacts.inner'],
    facts: `${FACTS} repeated uint32 letters = 1; repeated google.protobuf.Timestamp times = 2;
      repeated InnerFacts inner = 3; message InnerFacts { int32 letter = 1; }`,
  },
  'other messages in facts': {
    rule: 'facts-message',
    at: [
      'DoneFacts.any',
      'DoneFacts.struct',
      'DoneFacts.wrapped',
      'DoneFacts.who',
      'DoneFacts.inner',
    ],
    facts: `${FACTS} google.protobuf.Any any = 1; google.protobuf.Struct struct = 2;
      google.protobuf.StringValue wrapped = 3; ${PERSON} who = 4; Inner inner = 5;
      message Inner { int32 count = 1; }`,
  },
  'facts that contain themselves': {
    rule: 'facts-recursive',
    at: ['DoneFacts', 'DoneFacts.InnerFacts'],
    facts: `${FACTS} InnerFacts inner = 1; message InnerFacts { DoneFacts outer = 1; }`,
  },
  'a person within content': {
    rule: 'content-person',
    at: ['Done.DoneContent.Quote.author'],
    event: `${EVENT} DoneContent content = 2; message DoneContent {
      repeated Quote quotes = 1; message Quote { ${PERSON} author = 1; } }`,
  },
  'maps and Any within content': {
    rule: 'content-open',
    at: ['Done.DoneContent.fields', 'Done.DoneContent.Extra.any'],
    event: `${EVENT} DoneContent content = 2; message DoneContent {
      map<string, string> fields = 1; Extra extra = 2; message Extra { google.protobuf.Any any = 1; } }`,
  },
  'text in an event that is never sealed': {
    rule: 'privacy-text',
    at: [
      'Done.name',
      'Done.picture',
      'Done.person',
      'Done.Inner.notes',
      'Done.any',
      'google.protobuf.Any.type_url',
      'google.protobuf.Any.value',
      'Done.counts',
    ],
    event: `string name = 1; bytes picture = 2; string person = 3; Inner inner = 4;
      google.protobuf.Any any = 5; map<string, int32> counts = 6;
      string erasure_id = 7; repeated string obliged_services = 8; bytes token = 9;
      message Inner { repeated string notes = 1; bytes certificate_sha256 = 2; }`,
    family: { isSealed: false },
  },
  'an enum that outgrew its bound, or a bound of no enum': {
    rule: 'enum-size',
    at: ['lethe.people.v1.PersonKind', 'Gone'],
    contract: { enumValuesMax: { 'lethe.people.v1.PersonKind': 1, Gone: 1 } },
  },
  'a schema version of no event, or of one that stands at version 1': {
    rule: 'version-unknown',
    at: ['Gone', 'Done'],
    contract: { schemaVersions: { Gone: 2, Done: 1 } },
  },
};

/** The fixture's .proto file, in a package of its own. */
function sourceOf(fixture: Fixture, packageName: string): string {
  return `syntax = "proto3";
    package ${packageName};
    ${IMPORTS} import "lethe/people/v1/person.proto"; import "${packageName}.facts.proto";
    message AnyEvent { ${fixture.union ?? UNION} }
    message Done { ${fixture.event ?? EVENT} }
    ${fixture.more ?? ''}`;
}

function factsSourceOf(fixture: Fixture, packageName: string): string {
  return `syntax = "proto3";
    package ${packageName};
    ${IMPORTS} import "lethe/people/v1/person.proto";
    message Dimensions0Facts { int32 count = 1; }
    message DoneFacts { ${fixture.facts ?? FACTS} }`;
}

function contractOf(fixture: Fixture, packageName: string): Contract {
  const family: Family = {
    name: 'tickets',
    union: `${packageName}.AnyEvent`,
    isSealed: true,
    isAboutTickets: true,
    ...fixture.family,
  };
  return {
    families: [family],
    personType: PERSON,
    dimensionsType: `${packageName}.Dimensions0Facts`,
    enumValuesMax: {},
    schemaVersions: {},
    ...fixture.contract,
  };
}

/** Compiles every fixture at once, each in a package of its own, as buf takes a moment to start. */
function compile(folder: string): ReturnType<typeof readDescriptors> {
  mkdirSync(join(folder, 'lethe/people/v1'), { recursive: true });
  const person = 'lethe/people/v1/person.proto';
  cpSync(new URL(person, import.meta.url), join(folder, person));
  writeFileSync(join(folder, 'buf.yaml'), 'version: v2\n');
  const all = [...Object.values(fixtures), lawful];
  for (const [index, fixture] of all.entries()) {
    const packageName = `fixture${index}`;
    writeFileSync(join(folder, `${packageName}.proto`), sourceOf(fixture, packageName));
    writeFileSync(join(folder, `${packageName}.facts.proto`), factsSourceOf(fixture, packageName));
  }
  const buf = new URL('../node_modules/.bin/buf', import.meta.url).pathname;
  execFileSync(buf, ['build', '-o', 'descriptors.binpb'], { cwd: folder, stdio: 'pipe' });
  return readDescriptors(join(folder, 'descriptors.binpb'));
}

/** What the law allows, tried beside the breaches so that a law that refuses everything is noticed. */
const lawful: Fixture = {
  rule: 'facts-text',
  at: [],
  event: `${EVENT} DoneContent content = 2; ${PERSON} author = 3; repeated ${PERSON} cc = 4;
    message DoneContent { string text = 1; repeated bytes files = 2; }`,
  facts: `${FACTS} int64 duration_ms = 1; bool is_public = 2; optional uint32 count = 3;
    google.protobuf.Timestamp due_at = 4; repeated lethe.people.v1.PersonKind kinds = 5;
    InnerFacts inner = 6; message InnerFacts { sint32 delta = 1; }`,
};

describe('the shape law', () => {
  let folder: string;
  let registry: ReturnType<typeof readDescriptors>;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'lethe-shape-law-'));
    registry = compile(folder);
  });
  after(() => rmSync(folder, { recursive: true }));

  /** The violations of one fixture, as rule and place without the fixture's package. */
  function violationsOf(fixture: Fixture, index: number): { rule: ShapeRule; at: string }[] {
    const prefix = `fixture${index}.`;
    return checkShapes(registry, contractOf(fixture, `fixture${index}`))
      .filter(({ message }) => message.startsWith(prefix) || !message.startsWith('fixture'))
      .map(({ rule, message, field }) => ({
        rule,
        at: `${message.replace(prefix, '')}${field === '' ? '' : `.${field}`}`,
      }));
  }

  for (const [index, [name, fixture]] of Object.entries(fixtures).entries()) {
    it(`refuses ${name}`, () => {
      const places = violationsOf(fixture, index)
        .filter(({ rule }) => rule === fixture.rule)
        .map(({ at }) => at);
      assert.deepEqual(places.toSorted(), fixture.at.toSorted());
    });
  }

  it('refuses an event type name that two families use', () => {
    const first = contractOf(lawful, 'fixture0');
    const second = contractOf(lawful, `fixture${Object.keys(fixtures).length}`);
    const both = { ...second, families: [...first.families, ...second.families] };
    const twice = checkShapes(registry, both).filter(({ rule }) => rule === 'type-twice');
    assert.deepEqual(
      twice.map(({ message }) => message),
      [`fixture${Object.keys(fixtures).length}.Done`],
    );
  });

  it('allows what it does not refuse', () => {
    assert.deepEqual(violationsOf(lawful, Object.keys(fixtures).length), []);
  });

  it('has a breach here for every rule', () => {
    const tried = new Set<string>(Object.values(fixtures).map(({ rule }) => rule));
    tried.add('type-twice');
    assert.deepEqual(
      Object.keys(shapeRules).filter((rule) => !tried.has(rule)),
      [],
    );
  });

  it('is written down in the README, rule by rule', () => {
    const readme = readFileSync(new URL('README.md', import.meta.url), 'utf8');
    assert.deepEqual(
      Object.keys(shapeRules).filter((rule) => !readme.includes(`\`${rule}\``)),
      [],
    );
  });

  it('is kept by the contract of this repository', () => {
    const violations: readonly Violation[] = checkShapes(
      readDescriptors(descriptorsPath),
      contract,
    );
    assert.deepEqual(violations.map(describeViolation), []);
  });
});
