import type { Command } from 'commander';
import { decodeJwt } from 'jose';
import { z } from 'zod';
import { registerForChecks, roundTrip, type RoundTripWish } from '../calls/round-trip.ts';
import { readIfThere } from '../connection/data-files.ts';
import { withSession } from '../connection/with-session.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { usageError } from '../failures/cli-error.ts';
import { formatDuration } from '../output/numbers.ts';
import { writeJson } from '../output/write-json.ts';
import type { Surroundings } from '../surroundings.ts';
import { defineCommand, type CommandHost } from './define.ts';
import { declareTenant, tenantOptions } from './options.ts';

const address = z.string().regex(/^\S+:\d+$/, 'must be HOST:PORT');

const checkOptions = tenantOptions.extend({
  privacyServer: address.optional(),
  publicKey: z.string().min(1),
  tokenFile: z.string().min(1).optional(),
  adminTokenFile: z.string().min(1).optional(),
});

export function defineCheck(program: Command, host: CommandHost): void {
  defineCommand(program, host, {
    usage: 'check',
    summary: 'Append, read, erase and verify one made-up ticket',
    details:
      'What a deployment is for, once from end to end: a ticket of a made-up person is appended and read, the person is erased, nothing of it can be read any more, and the certificate holds. Use a tenant that is for tests: its figures count the ticket. Needs the roles writer, reader and privacy-officer. Registers the tenant first where a token of the role platform-admin lies in a file.',
    examples: [
      'check --tenant checks --public-key .lethe/certificate-key.pem',
      'check --server lethe-tickets:7480 --privacy-server lethe-privacy:7480 --public-key key.pem --token-file token',
    ],
    after:
      'Where no ingress gives all APIs one address, --server is that of tickets and --privacy-server that of privacy.\n',
    declare: (command) => {
      command
        .requiredOption('--public-key <file>', 'Ed25519 public key of certificates, PEM')
        .option('--privacy-server <address>', 'HOST:PORT of privacy; default: as --server')
        .option('--token-file <file>', 'the access token, instead of --token')
        .option(
          '--admin-token-file <file>',
          'of the role platform-admin; if it is there, the tenant is registered first',
        );
      declareTenant(command);
    },
    options: checkOptions,
    run: async ({ options: wish, surroundings }) => await check(wish, surroundings),
  });
}

async function check(
  options: z.infer<typeof checkOptions>,
  surroundings: Surroundings,
): Promise<ExitCode> {
  const { terminal, clock } = surroundings;
  const token = options.token ?? (options.tokenFile && (await textIn(options.tokenFile)));
  const wish = { ...options, token };
  const publicKey = await textIn(wish.publicKey);
  const startedMs = clock.monotonicMs();
  const steps: string[] = [];
  const done = (step: string): void => {
    const elapsed = formatDuration(clock.monotonicMs() - startedMs).padStart(8);
    steps.push(step);
    if (!wish.json) terminal.out(`  ${terminal.outStyle.dim(elapsed)}  ${step}\n`);
  };
  const made: RoundTripWish = {
    tenant: wish.tenant,
    name: `check-${surroundings.randomUuid()}`,
    erasureId: surroundings.randomUuid(),
    publicKey,
    nowMs: clock.nowMs(),
  };
  const privacy = { ...wish, server: wish.privacyServer ?? wish.server };
  const admin = wish.adminTokenFile && (await readIfThere(wish.adminTokenFile));
  if (admin) {
    const tenantId = wish.tenant ?? tenantOf(token);
    await withSession({ ...privacy, token: admin.trim() }, surroundings, async (session) => {
      if (await registerForChecks(session, tenantId)) done(`${tenantId} is registered`);
    });
  }
  await withSession(
    wish,
    surroundings,
    async (tickets) =>
      await withSession(
        privacy,
        surroundings,
        async (officer) => await roundTrip(tickets, officer, made, done),
      ),
  );
  if (wish.json) writeJson(terminal, { ok: true, steps, erasureId: made.erasureId });
  else terminal.out('  The deployment does what it is for.\n');
  return exitCodes.ok;
}

async function textIn(file: string): Promise<string> {
  const text = await readIfThere(file);
  if (text === undefined) throw usageError(`There is no file ${file}.`, 'Put it there.');
  return text.trim();
}

/** As the token says it; whether it says so rightly, the server finds out. */
function tenantOf(token: string | undefined): string {
  const next = 'Name one with --tenant, or give its token.';
  if (token === undefined) throw usageError('No token names the tenant.', next);
  try {
    const { tenant } = decodeJwt<{ readonly tenant?: unknown }>(token);
    if (typeof tenant === 'string') return tenant;
  } catch {
    // Said below.
  }
  throw usageError('The token names no tenant.', next);
}
