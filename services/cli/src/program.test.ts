import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Command } from 'commander';
import { createProgram } from './program.ts';
import { captureSurroundings, runCaptured } from './testing/captured.ts';

/** The words of every command that does something, below this one. */
function namesBelow(parent: Command): readonly (readonly string[])[] {
  return parent.commands.flatMap((command) =>
    command.commands.length === 0
      ? [[command.name()]]
      : namesBelow(command).map((names) => [command.name(), ...names]),
  );
}

const { surroundings } = captureSurroundings();
const commands = namesBelow(createProgram({ surroundings, finish: () => undefined }));

describe('the lethe command', () => {
  for (const command of commands) {
    it(`${command.join(' ')} --help says what it does, how, and how it ends`, async () => {
      const { exitCode, out, err } = await runCaptured([...command, '--help']);
      assert.equal(exitCode, 0);
      assert.equal(err, '');
      assert.match(out, new RegExp(`Usage: lethe ${command.join(' ')}`));
      assert.match(out, /Examples:\n {2}\$ lethe /);
      assert.match(out, /Exit codes:\n {2}0 {2}done/);
      assert.match(out, /--json/);
    });
  }

  it('lists every command in its help', async () => {
    const { exitCode, out } = await runCaptured(['--help']);
    assert.equal(exitCode, 0);
    assert.notDeepEqual(commands, []);
    for (const [name = ''] of commands) assert.match(out, new RegExp(`^ {2}${name}\\b`, 'm'));
  });

  const broken: readonly (readonly [what: string, argv: readonly string[], says: RegExp])[] = [
    ['an unknown command', ['frobnicate'], /Unknown command 'frobnicate'/],
    ['an unknown option', ['status', '--frobnicate'], /Unknown option '--frobnicate'/],
    ['a missing operand', ['query'], /Missing required argument 'metric'/],
    ['a missing option', ['erase', '--person', 'x'], /Required option '--ground <ground>'/],
    ['a role that does not exist', ['token', '--role', 'root'], /--role/],
    [
      'a token that would live too long',
      ['token', '--ttl', '61m'],
      /--ttl {2}must be from 1s to 1h/,
    ],
    [
      'a password on the command line',
      ['up', '--postgres', 'postgresql://me:secret-word@db/lethe'],
      /--postgres {2}must not hold a password.*LETHE_POSTGRES_PASSWORD_FILE/,
    ],
    [
      'a password in a parameter',
      ['up', '--postgres', 'postgresql://me@db/lethe?password=secret-word'],
      /--postgres {2}must not hold a password/,
    ],
    ['a day that does not exist', ['query', 'created', '--from', '2024-13-01'], /--from/],
    [
      'a filter without a value',
      ['query', 'created', '--where', 'channel'],
      /--where {2}must be DIMENSION=VALUE/,
    ],
    [
      'a grain that does not exist',
      ['query', 'created', '--grain', 'decade'],
      /--grain {2}must be one of hour, day, week, month, total\n/,
    ],
    [
      'a role that speaks for a tenant, without one',
      ['token', '--role', 'reader'],
      /Name the tenant with --tenant TENANT/,
    ],
    ['a tenant id that breaks the rule', ['ticket', 'list', '--tenant', 'Acme Ltd'], /--tenant/],
    [
      'a mapping that does not exist',
      ['import', 'f.csv', '--mapping', 'nope', '--tenant', 'acme'],
      /no mapping of this name/,
    ],
    [
      'two ids of one person',
      ['erase', '--person', 'x', '--email', 'y', '--ground', 'objection'],
      /exactly one of --person, --email, --phone and --person-token/,
    ],
    [
      'a rate with nothing to send',
      ['generate', '--rate', '5'],
      /--rate {2}goes with --send alone/,
    ],
    [
      'a file that is not there',
      ['certificate', 'verify', '/nowhere', '--public-key', '/nowhere'],
      /There is no file \/nowhere/,
    ],
  ];
  for (const [what, argv, says] of broken) {
    it(`answers 2 to ${what}, and says why`, async () => {
      const { exitCode, out, err } = await runCaptured(argv);
      assert.match(err, says);
      assert.equal(exitCode, 2);
      assert.equal(out, '');
      assert.doesNotMatch(err, /\n {4}at /);
    });
  }

  it('answers 3 when no server is known or none answers', async () => {
    const unknown = await runCaptured(['status', '--data', '/nowhere']);
    assert.equal(unknown.exitCode, 3);
    assert.match(unknown.err, /no file \/nowhere\/server\.json/);
    const silent = await runCaptured(['ticket', 'list', '--server', '127.0.0.1:1', '--token', 'x']);
    assert.equal(silent.exitCode, 3);
    assert.match(silent.err, /No server answers at 127\.0\.0\.1:1/);
  });

  it('writes errors as JSON when JSON was asked for', async () => {
    const { err } = await runCaptured([
      'ticket',
      'list',
      '--server',
      '127.0.0.1:1',
      '--token',
      'x',
      '--json',
    ]);
    const { error } = JSON.parse(err) as { error: { exitCode: number; next: string } };
    assert.equal(error.exitCode, 3);
    assert.match(error.next, /lethe up/);
  });

  it('writes what commander finds in the same form, as JSON too', async () => {
    const { err } = await runCaptured(['query', '--json']);
    const { error } = JSON.parse(err) as { error: { message: string; exitCode: number } };
    assert.equal(error.message, "Missing required argument 'metric'.");
    assert.equal(error.exitCode, 2);
  });

  it('names commands the way in which the reader calls it', async () => {
    const argv = ['ticket', 'list', '--server', '127.0.0.1:1', '--token', 'x'];
    const { err } = await runCaptured(argv, { commandName: 'npx lethe' });
    assert.match(err, /`npx lethe up`/);
  });

  it('says which field of a damaged server.json is wrong, and not its value', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'lethe-cli-'));
    await writeFile(path.join(folder, 'server.json'), '{"address": 12345678}');
    const { exitCode, err } = await runCaptured(['status', '--data', folder]);
    await rm(folder, { recursive: true });
    assert.equal(exitCode, 2);
    assert.match(err, /address {2}/);
    assert.doesNotMatch(err, /12345678/);
  });
});
