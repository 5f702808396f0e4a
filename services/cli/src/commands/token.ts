import type { Command } from 'commander';
import { z } from 'zod';
import { roles } from '@lethe/proto/access.ts';
import { readIssuer, ttlMaxS } from '../connection/access-token.ts';
import { dataFiles } from '../connection/data-files.ts';
import { exitCodes } from '../exit-codes.ts';
import { usageError } from '../failures/cli-error.ts';
import { writeJson } from '../output/write-json.ts';
import { defineCommand, type CommandHost } from './define.ts';
import {
  declareJson,
  defaultDataFolder,
  jsonOption,
  listOption,
  oneOf,
  tenantOptions,
} from './options.ts';

const ttlPattern = /^(\d+)(s|m|h)$/;
const secondsOf = { s: 1, m: 60, h: 3600 } as const;

const ttlOption = z
  .string()
  .regex(ttlPattern, 'must be a number with s, m or h, such as 15m')
  .transform((text) => {
    const [, amount = '0', unit = 's'] = ttlPattern.exec(text) ?? [];
    return Number(amount) * (unit === 'h' ? secondsOf.h : unit === 'm' ? secondsOf.m : secondsOf.s);
  })
  .refine(
    (ttlS) => ttlS >= 1 && ttlS <= ttlMaxS,
    'must be from 1s to 1h: no server takes a longer life',
  );

const options = jsonOption.extend({
  tenant: tenantOptions.shape.tenant,
  role: z.array(oneOf(roles)).optional(),
  ttl: ttlOption,
  data: z.string().min(1),
});

export function defineToken(program: Command, host: CommandHost): void {
  defineCommand(program, host, {
    usage: 'token',
    summary: 'Make an access token for a local server',
    details:
      'It is signed with DATA/issuer.jwk: whoever may read that file may speak for every tenant. The token is printed to stdout and kept nowhere.',
    examples: [
      'token --tenant aldermoor-energy --role reader',
      'token --tenant aldermoor-energy --role writer,reader --ttl 1h',
      'token --role platform-admin',
    ],
    declare: (command) => {
      command
        .option('--tenant <id>', 'tenant that the token speaks for')
        .addOption(
          listOption(
            '--role <role>',
            `any of ${roles.join(', ')}; default: reader, without a tenant platform-admin`,
          ),
        )
        .option('--ttl <time>', 'how long it lives, at most 1h', '15m')
        .option('--data <dir>', 'data folder of the local server', defaultDataFolder);
      declareJson(command);
    },
    options,
    run: async ({ options: { tenant, role, ttl, data, json }, surroundings }) => {
      const granted = role ?? [tenant === undefined ? 'platform-admin' : 'reader'];
      if (tenant === undefined && granted.some((name) => name !== 'platform-admin')) {
        throw usageError(
          'Only the role platform-admin speaks for no tenant.',
          'Name the tenant with --tenant TENANT.',
        );
      }
      const issuer = await readIssuer(data, surroundings.clock);
      if (issuer === undefined) {
        throw usageError(
          `There is no file ${dataFiles(data).issuer}.`,
          'Start a server once with `lethe up`, or name its data folder with --data.',
        );
      }
      const token = await issuer.mint({ tenantId: tenant, roles: granted }, ttl);
      const expiresAt = new Date(surroundings.clock.nowMs() + ttl * 1000).toISOString();
      if (json) writeJson(surroundings.terminal, { token, tenant, roles: granted, expiresAt });
      else surroundings.terminal.out(`${token}\n`);
      return exitCodes.ok;
    },
  });
}
