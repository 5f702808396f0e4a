import assert from 'node:assert/strict';
import { Command } from 'commander';
import { CliError } from '../failures/cli-error.ts';
import type { RepairReport } from '../server/run-repair.ts';
import { captureSurroundings } from '../testing/captured.ts';
import { defineRepair } from './repair.ts';

const sound: RepairReport = { findings: [], isCutShort: false, keptAside: [] };
const finding = { store: 'ledger', what: 'rows of 2 chunks', action: 'delete them' } as const;
const mendable: RepairReport = {
  findings: [{ ...finding, state: 'mendable' }],
  isCutShort: false,
  keptAside: [],
};
const mended: RepairReport = {
  findings: [{ ...finding, state: 'mended', action: 'deleted them' }],
  isCutShort: false,
  keptAside: [],
};
const lost: RepairReport = {
  findings: [{ store: 'keys', state: 'lost', what: 'the keyring', action: 'restore it' }],
  isCutShort: true,
  keptAside: [],
};

/** Runs the command over these answers of the process that looks and mends. */
async function repair(
  args: readonly string[],
  reports: Partial<Record<'look' | 'mend', RepairReport>>,
  answers?: readonly string[],
) {
  const captured = captureSurroundings(answers === undefined ? {} : { answers });
  const modes: string[] = [];
  let exitCode: number | undefined;
  const program = new Command('lethe').exitOverride();
  const host = { surroundings: captured.surroundings, finish: (code: number) => (exitCode = code) };
  defineRepair(program, host, async (data, mode) => {
    modes.push(`${mode} ${data}`);
    return await Promise.resolve(reports[mode] ?? assert.fail(`${mode} was not expected`));
  });
  let failure: unknown;
  try {
    await program.parseAsync(['repair', ...args], { from: 'user' });
  } catch (error) {
    failure = error;
  }
  return { exitCode, modes, out: captured.out(), failure };
}

describe('lethe repair', () => {
  it('says that there is nothing to repair, and asks nothing', async () => {
    const { exitCode, modes, out } = await repair(['--data', 'x'], { look: sound });
    assert.deepEqual([exitCode, out], [0, 'Nothing to repair.\n']);
    assert.deepEqual(modes, ['look x']);
  });

  it('changes nothing on a dry run, and ends with 1 when there is something to do', async () => {
    const { exitCode, modes, out } = await repair(['--dry-run', '--yes'], { look: mendable });
    assert.equal(exitCode, 1);
    assert.deepEqual(modes, ['look .lethe']);
    assert.match(out, /ledger.*rows of 2 chunks\n\s+delete them/);
  });

  it('asks before it mends, and mends nothing without the word', async () => {
    const refused = await repair([], { look: mendable }, ['yes']);
    assert.ok(refused.failure instanceof CliError);
    assert.deepEqual(refused.modes, ['look .lethe']);
    const granted = await repair([], { look: mendable, mend: mended }, ['repair']);
    assert.equal(granted.exitCode, 0);
    assert.match(granted.out, /deleted them/);
  });

  it('mends nothing where nobody can be asked', async () => {
    const { failure, modes } = await repair([], { look: mendable });
    assert.ok(failure instanceof CliError && failure.explanation.exitCode === 2);
    assert.deepEqual(modes, ['look .lethe']);
  });

  it('mends without asking with --yes, one line of JSON with --json', async () => {
    const { exitCode, out } = await repair(['--yes', '--json'], { look: mendable, mend: mended });
    assert.equal(exitCode, 0);
    assert.deepEqual(JSON.parse(out), { ...mended });
  });

  it('names what earlier repairs have kept, as no erasure reaches it', async () => {
    const name = 'log.sqlite.damaged-2026-11-22T10-15-00Z';
    const keptAside = [{ name, sinceMs: Date.UTC(2026, 10, 22, 10, 15) }];
    const { exitCode, out } = await repair([], { look: { ...sound, keptAside } });
    assert.equal(exitCode, 0);
    assert.match(
      out,
      /^Nothing to repair\.\n\nDamaged files that a repair kept\. No erasure reaches/,
    );
    assert.ok(out.endsWith(`  ${name}\n`));
    const json = await repair(['--json'], { look: { ...sound, keptAside } });
    assert.deepEqual(JSON.parse(json.out), { ...sound, keptAside });
  });

  it('ends with 1 when something cannot be mended, and says that it saw no further', async () => {
    const { exitCode, out } = await repair(['--yes'], { look: lost });
    assert.equal(exitCode, 1);
    assert.match(out, /✘ keys {2}the keyring\n\s+restore it\nWhat lies behind/);
  });
});
