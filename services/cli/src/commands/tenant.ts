import type { Command } from 'commander';
import { z } from 'zod';
import { ReturningPersons } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import { PrivacyServiceService, Tenant } from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import type { Caller } from '../connection/session.ts';
import { withSession } from '../connection/with-session.ts';
import { exitCodes } from '../exit-codes.ts';
import { formatMoment } from '../output/numbers.ts';
import { tableText } from '../output/table.ts';
import { writeJson } from '../output/write-json.ts';
import { defineCommand, type CommandHost } from './define.ts';
import { connectionOptions, declareConnection, oneOf, wholeNumber } from './options.ts';

const returningPersons = {
  allow: ReturningPersons.RETURNING_PERSONS_ALLOW,
  refuse: ReturningPersons.RETURNING_PERSONS_REFUSE,
} as const;

/** For what is the platform's own business. */
export const platformAdmin = { tenantId: undefined, roles: ['platform-admin'] } as const;

export function defineTenantCommands(program: Command, host: CommandHost): void {
  const parent = program.command('tenant').summary('Register tenants and list them');
  parent.description('Tenants: the customers of the platform. Needs the role platform-admin.');
  defineRegister(parent, host);
  defineList(parent, host);
}

function defineRegister(parent: Command, host: CommandHost): void {
  defineCommand(parent, host, {
    usage: 'register <tenant>',
    summary: 'Create a tenant with keys of its own',
    details:
      'Registering it again with the same settings changes nothing; with others it is refused.',
    examples: ['tenant register acme-support --region eu-central --retention-days 400'],
    declare: (command) => {
      command
        .option('--region <region>', 'where its data lies', 'eu-central')
        .option('--retention-days <days>', 'how long its data is kept', '400')
        .option(
          '--returning <rule>',
          'allow or refuse persons who come back after their erasure',
          'allow',
        );
      declareConnection(command);
    },
    options: connectionOptions.extend({
      region: z.string().min(1),
      retentionDays: wholeNumber(1, 36_500),
      returning: oneOf(['allow', 'refuse']),
    }),
    run: async ({ options, operands, surroundings }) =>
      await withSession(options, surroundings, async (session) => {
        const [tenantId = ''] = operands;
        const settings = {
          region: options.region,
          retentionDays: options.retentionDays,
          returningPersons: returningPersons[options.returning],
        };
        const { terminal } = surroundings;
        const admin = session.as(platformAdmin);
        const answer = await admin.unary(PrivacyServiceService.registerTenant, {
          tenantId,
          settings,
        });
        if (options.json) {
          writeJson(terminal, {
            created: answer.created,
            tenant: answer.tenant && Tenant.toJSON(answer.tenant),
          });
        } else {
          terminal.out(
            `${tenantId} ${answer.created ? 'is registered' : 'was registered already'}\n`,
          );
        }
        return exitCodes.ok;
      }),
  });
}

function defineList(parent: Command, host: CommandHost): void {
  defineCommand(parent, host, {
    usage: 'list',
    summary: 'List the registered tenants',
    examples: ['tenant list', 'tenant list --json'],
    declare: declareConnection,
    options: connectionOptions,
    run: async ({ options, surroundings }) =>
      await withSession(options, surroundings, async (session) => {
        const tenants = await listTenants(session.as(platformAdmin));
        const { terminal } = surroundings;
        if (options.json)
          writeJson(terminal, { tenants: tenants.map((tenant) => Tenant.toJSON(tenant)) });
        else {
          const rows = tenants.map(({ tenantId, settings, registeredAt }) => [
            tenantId,
            settings?.region ?? '',
            String(settings?.retentionDays ?? ''),
            settings?.returningPersons === returningPersons.refuse ? 'refuse' : 'allow',
            formatMoment(registeredAt),
          ]);
          const columns = [
            { title: 'tenant' },
            { title: 'region' },
            { title: 'retention days', align: 'right' },
            { title: 'returning' },
            { title: 'registered' },
          ] as const;
          terminal.out(tableText(columns, rows, terminal.outStyle));
        }
        return exitCodes.ok;
      }),
  });
}

/** All of them, page by page. */
export async function listTenants(admin: Caller): Promise<readonly Tenant[]> {
  const tenants: Tenant[] = [];
  let pageToken = '';
  do {
    const page = await admin.unary(PrivacyServiceService.listTenants, { pageSize: 500, pageToken });
    tenants.push(...page.tenants);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return tenants;
}
