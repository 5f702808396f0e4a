import { InvalidArgumentError, Option, type Command } from 'commander';
import { z } from 'zod';

/** Where the data folder of a local server lies unless said otherwise. */
export const defaultDataFolder = '.lethe';

export const jsonOption = z.object({ json: z.boolean().default(false) });

/** The options of every command that calls a server; see connection/session.ts. */
export const connectionOptions = jsonOption.extend({
  server: z
    .string()
    .regex(/^\S+:\d+$/, 'must be HOST:PORT')
    .optional(),
  data: z.string().min(1).default(defaultDataFolder),
  token: z.string().min(1).optional(),
});

/** The same and a tenant. */
export const tenantOptions = connectionOptions.extend({
  tenant: z
    .string()
    .regex(
      /^[a-z][a-z0-9-]{1,62}$/,
      'must be lower-case letters, digits and hyphens, 2 to 63 characters',
    )
    .optional(),
});

export function declareJson(command: Command): void {
  command.option('--json', 'print JSON for machines');
}

export function declareConnection(command: Command): void {
  command
    .option('--server <address>', 'HOST:PORT of the server; default: what DATA/server.json says')
    .option('--data <dir>', 'data folder of a local server', defaultDataFolder)
    .option(
      '--token <jwt>',
      'access token; default: LETHE_TOKEN, else one made from DATA/issuer.jwk',
    );
  declareJson(command);
}

export function declareTenant(command: Command): void {
  command.option('--tenant <id>', 'tenant to speak for; not needed with a token, which names it');
  declareConnection(command);
}

/** An option that may be given several times, or once with commas. */
export function listOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser(
    (text: string, soFar: readonly string[] | undefined) => {
      const values = text.split(',').map((value) => value.trim());
      if (values.includes('')) throw new InvalidArgumentError('empty value in the list');
      return [...(soFar ?? []), ...values];
    },
  );
}

/** One of the words; the rule names them all. */
export function oneOf<const Words extends readonly [string, ...string[]]>(words: Words) {
  return z.enum(words, { error: `must be one of ${words.join(', ')}` });
}

/** A whole number within bounds, from the command line's text. */
export function wholeNumber(min: number, max: number) {
  const rule = `must be a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d+$/, rule)
    .transform(Number)
    .refine((value) => value >= min && value <= max, rule);
}

/** "2024-08-03" or "2024-08-03T09:30Z", UTC, to a moment. */
export const momentOption = z
  .string()
  .regex(
    /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?(Z|[+-]\d{2}:\d{2}))?$/,
    'must be YYYY-MM-DD or YYYY-MM-DDTHH:MMZ',
  )
  .transform((text) => new Date(text))
  .refine((moment) => !Number.isNaN(moment.getTime()), 'must be a day of the calendar');
