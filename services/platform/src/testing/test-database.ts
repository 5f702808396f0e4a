import { randomBytes } from 'node:crypto';
import { PGlite } from '@electric-sql/pglite';
import type { Kysely } from 'kysely';
import type { Databases } from '../database/databases.ts';
import { createPgliteDatabases, type PgliteDatabases, pgliteOptions } from '../database/pglite.ts';

/** Runs `make` at the first call; every call gets that one result. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  const made: Promise<T>[] = [];
  return async () => {
    const first = made[0] ?? make();
    if (made.length === 0) made.push(first);
    return first;
  };
}

/** Booting takes 2 to 6 s, so a process has one, in memory; it does not keep the process alive. */
const sharedDatabases = once(async () => createPgliteDatabases(await openTestPglite()));

/** A PGlite of one's own, for a test that closes or breaks it; costs seconds. */
export async function openTestPglite(): Promise<PGlite> {
  return PGlite.create('memory://', pgliteOptions);
}

/**
 * Handles for several schemas that take turns on the shared PGlite, as in standalone; for tests of PGlite's own ways.
 */
export async function openTestDatabases(): Promise<PgliteDatabases> {
  return sharedDatabases();
}

const chosen: Databases[] = [];

/** From now on tests of this process get their schemas there instead of in PGlite. */
export function useTestDatabases(databases: Databases): void {
  chosen.unshift(databases);
}

/** What tests that hold on every database use: PGlite unless `useTestDatabases` chose another. */
export async function openAnyTestDatabases(): Promise<Databases> {
  return chosen[0] ?? (await sharedDatabases());
}

/**
 * An empty schema in the database that all tests of this process share. `name` (lower-case letters, digits, `_`, `-`)
 * shows in errors; two calls with one name get two schemas. The first call in a process boots PGlite: give the hook
 * that makes it `this.timeout(60_000)`.
 */
export async function openTestDatabase<Schema>(name: string): Promise<Kysely<Schema>> {
  const databases = await openAnyTestDatabases();
  const plain = name.replaceAll('-', '_').slice(0, 40);
  return databases.database<Schema>(`test_${plain}_${randomBytes(4).toString('hex')}`);
}
