import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { contract } from './contract.ts';
import { readDescriptors } from './descriptors.ts';
import { eventCases } from './shape-law.ts';

const repository = new URL('../', import.meta.url).pathname;
const frozen = join(repository, 'proto/frozen/contract.binpb');

interface Edit {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** What would hurt whoever has the frozen contract, by the rule that must find it. */
const breaks: Readonly<Record<string, Edit>> = {
  // A field that is gone.
  FIELD_NO_DELETE: {
    file: 'lethe/log/v1/record.proto',
    from: '  bytes causation_id = 9;\n',
    to: '',
  },
  // The same number, other bytes.
  FIELD_SAME_TYPE: {
    file: 'lethe/log/v1/record.proto',
    from: 'uint32 schema_version = 8;',
    to: 'string schema_version = 8;',
  },
  // The same bytes under another name: JSON and generated code know it by name.
  FIELD_SAME_NAME: {
    file: 'lethe/tickets/v1/facts.proto',
    from: '  Channel channel = 1;',
    to: '  Channel way = 1;',
  },
  FIELD_SAME_CARDINALITY: {
    file: 'lethe/tickets/v1/events.proto',
    from: 'repeated lethe.people.v1.Person cc = 5;',
    to: 'lethe.people.v1.Person cc = 5;',
  },
  ENUM_VALUE_NO_DELETE: {
    file: 'lethe/tickets/v1/enums.proto',
    from: 'TICKET_STATUS_CLOSED = 6;',
    to: 'TICKET_STATUS_CLOSED = 7;',
  },
  RPC_NO_DELETE: {
    file: 'lethe/tickets/v1/service.proto',
    from: '  rpc GetTicket(GetTicketRequest) returns (GetTicketResponse);\n',
    to: '',
  },
  RPC_SAME_SERVER_STREAMING: {
    file: 'lethe/tickets/v1/service.proto',
    from: 'returns (stream StreamTicketEventsResponse)',
    to: 'returns (StreamTicketEventsResponse)',
  },
};

/** What the contract may gain at any time. */
const additions: readonly Edit[] = [
  {
    file: 'lethe/tickets/v1/enums.proto',
    from: 'TICKET_STATUS_CLOSED = 6;',
    to: 'TICKET_STATUS_CLOSED = 6;\n  TICKET_STATUS_LOST = 7;',
  },
  {
    file: 'lethe/log/v1/record.proto',
    from: '  bytes causation_id = 9;\n',
    to: '  bytes causation_id = 9;\n  bytes more = 10;\n',
  },
  {
    file: 'lethe/tickets/v1/service.proto',
    from: '  rpc GetTicket(GetTicketRequest) returns (GetTicketResponse);\n',
    to: '  rpc GetTicket(GetTicketRequest) returns (GetTicketResponse);\n  rpc SeeTicket(GetTicketRequest) returns (GetTicketResponse);\n',
  },
];

describe('the frozen contract', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lethe-frozen-'));
    cpSync(join(repository, 'buf.yaml'), join(folder, 'buf.yaml'));
    for (const sources of ['lethe', 'google']) {
      cpSync(join(repository, 'proto', sources), join(folder, 'proto', sources), {
        recursive: true,
      });
    }
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const edit = ({ file, from, to }: Edit): void => {
    const path = join(folder, 'proto', file);
    const text = readFileSync(path, 'utf8');
    assert.ok(text.includes(from), `${file} no longer has ${from}`);
    writeFileSync(path, text.replace(from, to));
  };
  /** The rules that are broken against the frozen file, each once. */
  const broken = (): readonly string[] => {
    const buf = join(repository, 'node_modules/.bin/buf');
    const args = ['breaking', '--against', frozen, '--error-format', 'json'];
    const { status, stdout, stderr } = spawnSync(buf, args, { cwd: folder, encoding: 'utf8' });
    assert.ok(status === 0 || status === 100, `buf ended with ${status}: ${stderr}`);
    const lines = stdout.split('\n').filter((line) => line !== '');
    return [...new Set(lines.map((line) => String(Reflect.get(JSON.parse(line), 'type'))))];
  };

  it('is kept by the contract as it stands', () => {
    assert.deepEqual(broken(), []);
  });

  it('finds what takes away or changes, each by its rule', () => {
    for (const each of Object.values(breaks)) edit(each);
    const found = broken();
    assert.deepEqual(
      Object.keys(breaks).filter((rule) => !found.includes(rule)),
      [],
    );
  });

  it('lets the contract grow', () => {
    for (const each of additions) edit(each);
    assert.deepEqual(broken(), []);
  });

  it('holds the events of every family, so that an empty file keeps nobody to anything', () => {
    const known = eventCases(readDescriptors(frozen), contract);
    const families = new Set(known.map(({ family }) => family.name));
    assert.equal(families.size, contract.families.length);
    // As many as at the first freeze; there is no way to have fewer.
    assert.ok(known.length >= 52, `${known.length} events`);
  });

  it('is looked at by npm run check, and only renewed where it is kept', () => {
    const { scripts } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
      readonly scripts: Readonly<Record<string, string>>;
    };
    assert.match(scripts['check'] ?? '', /npm run breaking/);
    assert.equal(scripts['breaking'], 'buf breaking --against proto/frozen/contract.binpb');
    assert.match(scripts['freeze'] ?? '', /^npm run breaking && buf build /);
  });
});
