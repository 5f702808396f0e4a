import type { Command } from 'commander';
import { z } from 'zod';
import { ErasureGround } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import {
  Erasure,
  ErasurePreview,
  PrivacyServiceService,
  type RequestErasureRequest,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import type { Caller, Session } from '../connection/session.ts';
import { withSession } from '../connection/with-session.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { CliError, usageError } from '../failures/cli-error.ts';
import { writeJson } from '../output/write-json.ts';
import type { Surroundings } from '../surroundings.ts';
import { erasureText, previewText } from '../views/erasure.ts';
import { defineCommand, type CommandHost } from './define.ts';
import { followErasure } from './follow-erasure.ts';
import { declareTenant, listOption, oneOf, tenantOptions } from './options.ts';

/** The letters are those of GDPR article 17(1). */
export const grounds = {
  'not-needed': ErasureGround.ERASURE_GROUND_NOT_NEEDED,
  'consent-withdrawn': ErasureGround.ERASURE_GROUND_CONSENT_WITHDRAWN,
  objection: ErasureGround.ERASURE_GROUND_OBJECTION,
  unlawful: ErasureGround.ERASURE_GROUND_UNLAWFUL,
  'legal-obligation': ErasureGround.ERASURE_GROUND_LEGAL_OBLIGATION,
  child: ErasureGround.ERASURE_GROUND_CHILD,
  controller: ErasureGround.ERASURE_GROUND_CONTROLLER,
} as const;

const groundNames = [
  'not-needed',
  'consent-withdrawn',
  'objection',
  'unlawful',
  'legal-obligation',
  'child',
  'controller',
] as const satisfies readonly (keyof typeof grounds)[];

const hexToken = /^[0-9a-f]{32}$/;

const options = tenantOptions.extend({
  person: z.string().min(1).optional(),
  email: z.string().min(1).optional(),
  phone: z.string().min(1).optional(),
  personToken: z.string().regex(hexToken, 'must be 32 hex digits').optional(),
  ground: oneOf(groundNames),
  confirm: z.array(z.string().regex(hexToken, 'must be 32 hex digits')).default([]),
  dryRun: z.boolean().default(false),
  yes: z.boolean().default(false),
  watch: z.boolean().default(false),
});

type EraseOptions = z.infer<typeof options>;

export function defineErase(program: Command, host: CommandHost): void {
  defineCommand(program, host, {
    usage: 'erase',
    summary: 'Erase a person everywhere, with proof',
    details:
      'Shows first what would go, by service, and asks on a terminal; --yes answers for you. The person and all tickets that they own become unreadable for ever. Counts stay as they were. Needs the role privacy-officer.',
    examples: [
      'erase --tenant aldermoor-energy --person user-4711 --ground consent-withdrawn --dry-run',
      'erase --tenant aldermoor-energy --email someone@example.org --ground objection --yes --watch',
    ],
    declare: (command) => {
      command
        .option('--person <id>', "the person's id in the help desk")
        .option('--email <address>', 'or their e-mail address')
        .option('--phone <number>', 'or their phone number')
        .option('--person-token <token>', 'or their token, 32 hex digits')
        .requiredOption('--ground <ground>', `legal ground: ${groundNames.join(', ')}`)
        .addOption(
          listOption(
            '--confirm <tokens>',
            'when several persons share the id: the tokens of those to erase',
          ),
        )
        .option('--dry-run', 'show what would go and change nothing')
        .option('--yes', 'do not ask')
        .option('--watch', 'follow it until it is completed');
      declareTenant(command);
    },
    options,
    run: async ({ options: wish, surroundings }) => {
      const person = personOf(wish);
      return await withSession(
        wish,
        surroundings,
        async (session) => await erase(session, person, wish, surroundings),
      );
    },
  });
}

type PersonId = NonNullable<RequestErasureRequest['person']>;

function personOf({ person, email, phone, personToken }: EraseOptions): PersonId {
  const given: PersonId[] = [];
  if (person !== undefined) given.push({ $case: 'personId', value: person });
  if (email !== undefined) given.push({ $case: 'email', value: email });
  if (phone !== undefined) given.push({ $case: 'phone', value: phone });
  if (personToken !== undefined) given.push({ $case: 'personToken', value: personToken });
  const [only, second] = given;
  if (only === undefined || second !== undefined) {
    throw usageError(
      'Name the person by exactly one of --person, --email, --phone and --person-token.',
    );
  }
  return only;
}

async function erase(
  session: Session,
  person: PersonId,
  wish: EraseOptions,
  surroundings: Surroundings,
): Promise<ExitCode> {
  const { terminal } = surroundings;
  const officer = session.as({ tenantId: wish.tenant, roles: ['privacy-officer'] });
  const request = {
    person,
    ground: grounds[wish.ground],
    confirmedPersonTokens: wish.confirm,
    erasureId: surroundings.randomUuid(),
  };
  if (wish.dryRun || !wish.yes) {
    const preview = await previewErasure(officer, request);
    if (!wish.json) terminal.out(`This would go:\n${previewText(preview, terminal.outStyle)}`);
    else if (wish.dryRun) writeJson(terminal, { preview: ErasurePreview.toJSON(preview) });
    if (wish.dryRun) return exitCodes.ok;
    refuseAmbiguity(preview, wish);
    await confirm(surroundings);
  }
  const answer = await officer.unary(PrivacyServiceService.requestErasure, {
    ...request,
    dryRun: false,
  });
  if (answer.erasure === undefined) throw ambiguous(answer.preview);
  if (wish.watch)
    return await followErasure(session, officer, answer.erasure.erasureId, wish.json, surroundings);
  if (wish.json) writeJson(terminal, { erasure: Erasure.toJSON(answer.erasure) });
  else {
    terminal.out(erasureText(answer.erasure, terminal.outStyle));
    const tenant = wish.tenant === undefined ? '' : ` --tenant ${wish.tenant}`;
    const follow = `${surroundings.commandName} erasure watch ${answer.erasure.erasureId}${tenant}`;
    terminal.out(`  follow it with   ${follow}\n`);
  }
  return exitCodes.ok;
}

async function previewErasure(
  officer: Caller,
  request: Omit<RequestErasureRequest, 'dryRun'>,
): Promise<ErasurePreview> {
  const { preview } = await officer.unary(PrivacyServiceService.requestErasure, {
    ...request,
    dryRun: true,
  });
  if (preview === undefined)
    throw new CliError(exitCodes.failed, 'The server answered a dry run without a preview.');
  return preview;
}

function refuseAmbiguity(preview: ErasurePreview, wish: EraseOptions): void {
  if (preview.personTokens.length > 1 && wish.confirm.length === 0) throw ambiguous(preview);
}

function ambiguous(preview: ErasurePreview | undefined): CliError {
  const tokens = preview?.personTokens ?? [];
  return new CliError(
    exitCodes.failed,
    `${tokens.length} persons share this id; nothing was erased.`,
    {
      reason: 'PERSON_AMBIGUOUS',
      next: `Say whom you mean: --confirm ${tokens.join(',')}`,
    },
  );
}

async function confirm({ terminal }: Surroundings): Promise<void> {
  if (terminal.ask === undefined) {
    throw usageError(
      'There is no terminal to ask on, so nothing was erased.',
      'Look at --dry-run, then add --yes.',
    );
  }
  const answer = await terminal.ask('This cannot be undone. Type "erase" to go on: ');
  if (answer.trim() !== 'erase')
    throw new CliError(exitCodes.failed, 'Not confirmed; nothing was erased.');
}
