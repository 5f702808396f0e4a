import { assertPostgresFits } from '../database/postgres-check.ts';
import { parsePostgresConfig } from '../database/postgres-config.ts';
import { openPostgres } from '../database/postgres.ts';
import { type Migrations, migrateToLatest } from '../database/migrate.ts';
import { createTopics, parseAdminKafkaConfig } from '../event-log/create-topics.ts';

/** Work that a service's program does once and ends, before its processes start. */
export const oneOffs = ['--migrate', '--create-topics'] as const;
export type OneOff = (typeof oneOffs)[number];

type Environment = Readonly<Record<string, string | undefined>>;

export function isOneOff(argument: string): argument is OneOff {
  return oneOffs.some((each) => each === argument);
}

/**
 * Does it, and answers what to tell whoever asked. Reads the variables that it needs and no others, so that a job is given
 * one login. Throws CONFIG_INVALID and what the store refuses; waits for nothing.
 */
export async function runOneOff(
  argument: OneOff,
  name: string,
  migrations: Migrations,
  env: Environment,
): Promise<string> {
  switch (argument) {
    case '--migrate':
      return await migrate(name, migrations, env);
    case '--create-topics':
      return await createTopics(parseAdminKafkaConfig(env));
  }
}

/** Services do the same at their start; a process that dies in the middle leaves nothing behind. */
async function migrate(name: string, migrations: Migrations, env: Environment): Promise<string> {
  const db = openPostgres<unknown>(parsePostgresConfig(name, env));
  try {
    await assertPostgresFits(db);
    await migrateToLatest(db, migrations);
    return `${name}: its schema is the newest that this version knows\n`;
  } finally {
    await db.destroy();
  }
}
