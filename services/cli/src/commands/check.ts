import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { z } from 'zod';
import { roundTrip, type RoundTripWish } from '../calls/round-trip.ts';
import { withSession } from '../connection/with-session.ts';
import { exitCodes } from '../exit-codes.ts';
import { formatDuration } from '../output/numbers.ts';
import { writeJson } from '../output/write-json.ts';
import { defineCommand, type CommandHost } from './define.ts';
import { declareTenant, tenantOptions } from './options.ts';

const address = z.string().regex(/^\S+:\d+$/, 'must be HOST:PORT');

const options = tenantOptions.extend({
  privacyServer: address.optional(),
  publicKey: z.string().min(1),
});

export function defineCheck(program: Command, host: CommandHost): void {
  defineCommand(program, host, {
    usage: 'check',
    summary: 'Append, read, erase and verify one made-up ticket',
    details:
      'What a deployment is for, once from end to end: a ticket of a made-up person is appended and read, the person is erased, nothing of it can be read any more, and the certificate holds. Use a tenant that is for tests: its figures count the ticket. Needs the roles writer, reader and privacy-officer.',
    examples: [
      'check --tenant checks --public-key .lethe/certificate-key.pem',
      'check --server lethe-tickets:7480 --privacy-server lethe-privacy:7480 --public-key key.pem',
    ],
    after:
      'Where no ingress gives all APIs one address, --server is that of tickets and --privacy-server that of privacy.\n',
    declare: (command) => {
      command
        .requiredOption('--public-key <file>', 'Ed25519 public key of certificates, PEM')
        .option('--privacy-server <address>', 'HOST:PORT of privacy; default: as --server');
      declareTenant(command);
    },
    options,
    run: async ({ options: wish, surroundings }) => {
      const { terminal, clock } = surroundings;
      const publicKey = await readFile(wish.publicKey, 'utf8');
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
    },
  });
}
