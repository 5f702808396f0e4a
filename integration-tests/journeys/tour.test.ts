import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { jsonLines, runLethe } from '../harness/lethe.ts';
import { touredWorld, touredWorldTimeoutMs, type TouredWorld } from '../harness/toured-world.ts';

interface TourState {
  readonly stage: string;
  readonly totalsBefore: Readonly<Record<string, string>>;
}

interface Status {
  readonly healthy: boolean;
  readonly tenants: number;
  readonly totals: readonly {
    readonly metric: string;
    readonly version: number;
    readonly exact: number;
  }[];
}

function totalsOf({ totals }: Pick<Status, 'totals'>): Record<string, string> {
  return Object.fromEntries(
    totals.map(({ metric, version, exact }) => [`${metric} v${version}`, `${exact}`]),
  );
}

describe('lethe up --tour --once', () => {
  let world: TouredWorld;
  let state: TourState;
  before(async function () {
    this.timeout(touredWorldTimeoutMs);
    world = await touredWorld();
    state = JSON.parse(readFileSync(join(world.dataFolder, 'tour.json'), 'utf8')) as TourState;
  });

  it('ends with 0 on a fresh folder, having streamed what it said', () => {
    const { first, settings } = world;
    assert.equal(first.exitCode, 0, first.stderr);
    assert.match(first.stdout, /Lethe serves at 127\.0\.0\.1:\d+/);
    const accepted = /([\d,]+) accepted/.exec(first.stdout)?.[1]?.replaceAll(',', '');
    assert.ok(Math.abs(Number(accepted) - settings.events) < settings.events / 20);
    assert.equal(state.stage, 'completed');
  });

  it('shows that all totals are equal before and after the erasure', () => {
    const { first } = world;
    const metrics = Object.keys(state.totalsBefore).length;
    assert.ok(metrics > 10);
    assert.match(first.stdout, new RegExp(`all ${metrics} totals are equal before and after`));
    assert.doesNotMatch(first.stdout, /differ|can still be read/);
    assert.ok(Object.values(state.totalsBefore).every((total) => BigInt(total) > 0n));
  });

  it('shows the transcript before the erasure and that it is gone after it', () => {
    const { first, showcase } = world;
    const [before = '', after = ''] = first.stdout.split('The same ticket afterwards');
    assert.ok(before.includes(showcase.personName));
    assert.match(after, /\[erased\].*TICKET_ERASED/);
    assert.ok(!after.includes(showcase.personName));
  });

  it('leaves a certificate that anybody can verify, and that no changed byte survives', async () => {
    const { first, showcase, dataFolder, keeper, folder } = world;
    assert.match(first.stdout, /The certificate holds\./);
    const file = join(dataFolder, 'certificates', `${showcase.erasureId}.jws`);
    const publicKey = ['--public-key', join(dataFolder, 'certificate-key.pem')];
    // No server runs: it is checked offline.
    const verified = await runLethe(keeper, ['certificate', 'verify', file, ...publicKey]);
    assert.equal(verified.exitCode, 0, verified.stderr);
    const [header, payload = '', signature] = readFileSync(file, 'utf8').trim().split('.');
    const claims = Buffer.from(payload, 'base64url').toString().replace('"tickets"', '"ticketz"');
    const forged = [header, Buffer.from(claims).toString('base64url'), signature].join('.');
    assert.notEqual(forged, [header, payload, signature].join('.'));
    const forgedFile = join(folder, 'forged.jws');
    writeFileSync(forgedFile, forged);
    const refused = await runLethe(keeper, ['certificate', 'verify', forgedFile, ...publicKey]);
    assert.equal(refused.exitCode, 1);
  });

  it('shows the state the second time, streams nothing, ends with 0 and has equal totals', () => {
    const { second, settings } = world;
    assert.equal(second.exitCode, 0, second.stderr);
    assert.doesNotMatch(second.stderr, /Streaming|catches up/);
    const [started, status] = jsonLines<Status>(second);
    assert.ok(started !== undefined && status?.healthy === true, second.stdout);
    assert.equal(status.tenants, settings.tenants);
    assert.deepEqual(totalsOf(status), state.totalsBefore);
  });

  it('brought every event onto the log once, and took the erased person’s from it', () => {
    const { seen, erased, first } = world;
    const accepted = Number(/([\d,]+) accepted/.exec(first.stdout)?.[1]?.replaceAll(',', ''));
    const ids = Array.from(seen.values(), (record) => {
      const { header } = LogRecord.decode(record);
      return `${header?.tenantId} ${Buffer.from(header?.eventId ?? []).toString('hex')}`;
    });
    assert.equal(new Set(ids).size, ids.length);
    // The services add milestones, tenants and the erasure's own events.
    assert.ok(ids.length > accepted && ids.length < accepted * 1.2);
    // How many a person has changes with the day: what the receipts say is what is gone.
    const [, receipts = ''] =
      /receipt of +records .*\n((?: +[a-z]+ +[\d,]+ .*\n)+)/.exec(first.stdout) ?? [];
    const counted = receipts.matchAll(/^ +[a-z]+ +([\d,]+) /gm);
    const records = Array.from(counted, ([, count = '']) => Number(count.replaceAll(',', '')));
    assert.equal(records.length, 5);
    assert.ok(erased.length > 0);
    assert.equal(
      erased.length,
      records.reduce((sum, each) => sum + each, 0),
    );
  });
});
