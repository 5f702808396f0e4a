import assert from 'node:assert/strict';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Canary } from '@lethe/cli/generator/canaries.ts';
import type { PGlite } from '@electric-sql/pglite';
import { TicketServiceService } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { mintOf } from '../harness/access-tokens.ts';
import { CallFailure, openApi } from '../harness/api.ts';
import { createByteSearch, spellingsOf, type ByteSearch } from '../harness/byte-patterns.ts';
import { decompressBlocks } from '../harness/clickhouse-blocks.ts';
import { incidentTexts, journeyRows } from '../harness/incident-file.ts';
import { jsonLines, runLethe } from '../harness/lethe.ts';
import { boxesOf } from '../harness/log-watch.ts';
import { openTables } from '../harness/stored-tables.ts';
import { touredWorld, touredWorldTimeoutMs, type TouredWorld } from '../harness/toured-world.ts';

/** A text where it must not be: the file, and how it was written there; never the text itself. */
function placesIn(search: ByteSearch, dataFolder: string, files: readonly string[]): string[] {
  return files.flatMap((file) => {
    const bytes = readFileSync(file);
    const isCompressed = relative(dataFolder, file).startsWith('chdb');
    const plain = isCompressed ? decompressBlocks(bytes).plain : Buffer.alloc(0);
    return [...search.in(bytes), ...search.in(plain)].map(
      ({ spelling, offset }) => `${relative(dataFolder, file)} at ${offset}: ${spelling}`,
    );
  });
}

function filesBelow(folder: string): readonly string[] {
  return globSync('**/*', { cwd: folder, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** What the tour printed, but for the transcript that it shows on purpose before the erasure. */
function withoutTranscript(stdout: string): string {
  const [before = '', rest = ''] = stdout.split('\nA ticket of that tenant');
  const [, after = ''] = rest.split('\nIts requester withdraws consent');
  assert.ok(before !== '' && after !== '', 'the tour shows a transcript');
  return before + after;
}

/** Every value of the services' tables that PostgreSQL keeps compressed, as text. */
async function compressedValues(tables: PGlite): Promise<readonly string[]> {
  const { rows: columns } = await tables.query<{ relation: string; column: string }>(
    `select format('%I.%I', n.nspname, c.relname) as relation, format('%I', a.attname) as column
       from pg_attribute a join pg_class c on c.oid = a.attrelid
       join pg_namespace n on n.oid = c.relnamespace
      where c.relkind = 'r' and a.attnum > 0 and a.attlen = -1 and not a.attisdropped
        and n.nspname not in ('pg_catalog', 'information_schema')`,
  );
  assert.ok(columns.length > 50);
  const values: string[] = [];
  for (const { relation, column } of columns) {
    const { rows } = await tables.query<{ value: string }>(
      // Bytes come out in hex, which the search knows.
      `select ${column}::text as value
         from ${relation} where pg_column_compression(${column}) is not null`,
    );
    values.push(...rows.map(({ value }) => value));
  }
  return values;
}

describe('after the tour', () => {
  let world: TouredWorld;
  let canaries: readonly Canary[];
  before(async function () {
    this.timeout(touredWorldTimeoutMs);
    world = await touredWorld();
    const { keeper, settings } = world;
    const anchor = new Date(settings.anchorMs).toISOString().slice(0, 10);
    const listed = await runLethe(keeper, ['generate', '--canaries', '--anchor', anchor]);
    canaries = jsonLines<Canary>(listed);
  });

  describe('a person who was erased', () => {
    it('has a ticket that answers "erased" to every reader, and takes nothing more', async () => {
      const server = await world.server();
      const api = openApi(server.address);
      const { tenantId, ticketId } = world.showcase;
      const token = mintOf(world.dataFolder).mint({ tenant: tenantId, roles: ['reader'] });
      const ticket = { $case: 'ticketId', value: ticketId } as const;
      const isErased = (error: unknown) =>
        error instanceof CallFailure && error.reason === 'TICKET_ERASED';
      await assert.rejects(
        api.unary(TicketServiceService.getTranscript, { ticket }, token),
        isErased,
      );
      await assert.rejects(api.unary(TicketServiceService.getTicket, { ticket }, token), isErased);
      api.close();
    });

    it('has left no ciphertext on the log', () => {
      const { dataFolder, seen, erased } = world;
      const boxesAt = (entryIds: readonly number[]) =>
        entryIds.flatMap((entryId) => boxesOf(seen.get(entryId) ?? Buffer.alloc(0)));
      // The tombstoned records: all of them were seen, as the log was watched while they were on it.
      assert.ok(erased.length > 10);
      assert.ok(erased.every((entryId) => seen.has(entryId)));
      const files = ['log.sqlite', 'log.sqlite-wal', 'log.sqlite-shm']
        .map((name) => join(dataFolder, name))
        .flatMap((file) => globSync(file));
      const bytes = Buffer.concat(files.map((file) => readFileSync(file)));
      const gone = boxesAt(erased);
      assert.ok(gone.length > 20 && gone.every(({ length }) => length > 40));
      // Both ends of each: nothing of it may be left.
      const ends = gone.flatMap((box) => [box.subarray(0, 32), box.subarray(-16)]);
      assert.deepEqual(ends.filter((end) => bytes.includes(end)).length, 0);
      const kept = boxesAt([...seen.keys()].filter((id) => !erased.includes(id)).slice(0, 50));
      assert.ok(kept.length > 50 && kept.every((box) => bytes.includes(box)));
    });
  });

  describe('a byte search', function () {
    this.timeout(120_000);
    let search: ByteSearch;
    let files: readonly string[];
    before(async () => {
      const server = await world.server();
      await server.stop();
      // With what the import journey has sent to this folder, if it ran before.
      const imported = incidentTexts(journeyRows());
      assert.ok(imported.length > 40);
      search = createByteSearch([...canaries.map(({ value }) => value), ...imported]);
      files = filesBelow(world.dataFolder);
    });

    it('is for the names, addresses, ids and texts of everybody', () => {
      const kinds = new Set(canaries.map(({ kind }) => kind));
      const all = ['name', 'email', 'phone', 'national_id', 'person_id', 'ticket_id', 'text'];
      assert.deepEqual([...kinds].toSorted(), all.toSorted());
      assert.ok(canaries.length > 5_000);
      assert.ok(canaries.every(({ value }) => Buffer.byteLength(value) >= 16));
      const tenants = new Set(canaries.map(({ tenantId }) => tenantId));
      assert.equal(tenants.size, world.settings.tenants);
    });

    it('finds none of them below the data folder', () => {
      assert.ok(files.length > 500);
      assert.deepEqual(placesIn(search, world.dataFolder, files), []);
    });

    it('finds none of them in what the server logged and the command printed', () => {
      const { first, second, logFile } = world;
      const logged = readFileSync(logFile, 'utf8') + first.stderr + second.stderr;
      assert.match(logged, /"level":"info"/);
      const printed = withoutTranscript(first.stdout) + second.stdout;
      assert.deepEqual(search.in(Buffer.from(logged + printed)), []);
      assert.ok(search.in(Buffer.from(first.stdout)).length > 0, 'the transcript shows some');
    });

    it('finds a planted one, however it is written', () => {
      const { folder } = world;
      const [text = ''] = canaries.filter(({ kind }) => kind === 'text').map(({ value }) => value);
      for (const { name, bytes } of spellingsOf(text)) {
        const file = join(folder, 'planted');
        writeFileSync(file, Buffer.concat([Buffer.alloc(5000, 7), bytes, Buffer.alloc(100)]));
        assert.ok(placesIn(search, folder, [file]).length > 0, name);
      }
    });

    it('sees into every store: tenants, who are no secret, are found in each', () => {
      const { dataFolder, showcase } = world;
      const control = createByteSearch([showcase.tenantId]);
      const found = placesIn(control, dataFolder, files);
      for (const store of ['chdb', 'pg/base', 'log.sqlite', 'keyring.json']) {
        assert.ok(
          found.some((place) => place.startsWith(store)),
          store,
        );
      }
      const isBlocks = (file: string) => /\.(bin|cidx|cmrk\d)$/.test(file);
      const blocks = files.filter((file) => file.includes('chdb') && isBlocks(file));
      assert.ok(blocks.length > 100);
      const opaque = blocks.filter((file) => decompressBlocks(readFileSync(file)).otherBytes > 0);
      assert.deepEqual(opaque, []);
    });

    it('finds none of them in what PostgreSQL has compressed', async () => {
      const tables = await openTables(world.dataFolder);
      try {
        const values = await compressedValues(tables);
        // Certificates are long and compress well: the search has seen at least that one.
        assert.ok(values.length > 0);
        assert.deepEqual(search.in(Buffer.from(values.join('\n'))), []);
      } finally {
        await tables.close();
      }
    });
  });
});
