import type { Kysely } from 'kysely';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import type { Clock, RandomBytes } from '@lethe/platform/lifecycle/clock.ts';
import type { TenantKeyring } from './hierarchy/tenant-keyring.ts';
import type { TenantKeyrings } from './hierarchy/tenant-keyrings.ts';
import type { Kms } from './kms/port.ts';
import {
  addTenantKey,
  type DataKeyColumns,
  deleteOlderTenantKeys,
  readDataKeyPage,
  readOtherWraps,
  replaceDataKeyWraps,
  replaceOtherWrap,
} from './store/rotation.ts';
import type { KeysSchema } from './store/schema.ts';

export interface RotationPorts {
  readonly db: Kysely<KeysSchema>;
  readonly kms: Kms;
  readonly keyrings: TenantKeyrings;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  /** Rows re-wrapped in one transaction. Default 500. */
  readonly pageRows?: number;
}

export interface Rotated {
  /** Rows that the new tenant key has wrapped: all that are alive. */
  readonly rows: number;
  readonly kmsVersion: number;
}

/**
 * Replaces a tenant's tenant key online, and the KMS key version under it, so that a copy of this store that is older
 * than the rotation cannot bring an erased person back. Whatever the process dies at, running it again completes it. No
 * process calls it yet: docs/decisions/no-rotation-by-itself-yet.md says what that takes.
 *
 * 1. A new KMS version, a new tenant key under it. From its commit on everything new is wrapped with the new one; the
 *    old one still opens. Died after: the next run adds one more, and removes them all.
 * 2. Every row is re-wrapped, in pages; those that are already are passed over.
 * 3. Every row is counted under the new key. One that is not stops here, before anything is destroyed.
 * 4. The old tenant keys are deleted. They are never wrapped again.
 * 5. The older KMS versions are destroyed: a copy of the store has the old tenant keys, and nothing unwraps them now.
 *    Died before: the next run's own step 5 destroys them.
 *
 * Throws TENANT_UNKNOWN, what the KMS throws, StaleKeyring when another rotation of the tenant came first, and
 * INTERNAL_DEFECT when a row was not re-wrapped; both before anything is destroyed.
 */
export async function rotateTenant(ports: RotationPorts, tenantId: TenantId): Promise<Rotated> {
  const { db, kms, keyrings, clock, randomBytes } = ports;
  // Before a version is made: a tenant that is not there gets no KMS key, and versions rise with the numbers of keys.
  keyrings.forget(tenantId);
  const { tenantNumber, newestNumber } = await keyrings.of(tenantId);
  const kmsVersion = await kms.rotate(tenantId);
  const secretBytes = randomBytes(32);
  const wrapped = await kms.wrap(tenantId, secretBytes);
  secretBytes.fill(0);
  const from = { tenantNumber, formerNewest: newestNumber };
  const newest = await addTenantKey(db, tenantId, from, wrapped, clock.nowMs());
  keyrings.forget(tenantId);
  const keyring = await keyrings.of(tenantId);
  await rewrapOthers(db, keyring);
  await forEachPage(ports, keyring, rewrapPage);
  const rows = (await countOthers(db, keyring)) + (await forEachPage(ports, keyring, countPage));
  await deleteOlderTenantKeys(db, tenantId, tenantNumber, newest);
  keyrings.forget(tenantId);
  await kms.destroyVersionsBefore(tenantId, kmsVersion);
  return { rows, kmsVersion };
}

type Page = Awaited<ReturnType<typeof readDataKeyPage>>;

/** Answers the sum over all pages. Rows made meanwhile are under the new key whether a page has them or not. */
async function forEachPage(
  { db, pageRows = 500 }: RotationPorts,
  keyring: TenantKeyring,
  work: (db: Kysely<KeysSchema>, keyring: TenantKeyring, page: Page) => Promise<number>,
): Promise<number> {
  let sum = 0;
  let after: DataKeyColumns | undefined;
  for (;;) {
    const page = await readDataKeyPage(db, keyring.tenantNumber, after, pageRows);
    sum += await work(db, keyring, page);
    after = page.at(-1)?.place;
    if (after === undefined) return sum;
  }
}

async function rewrapPage(
  db: Kysely<KeysSchema>,
  keyring: TenantKeyring,
  page: Page,
): Promise<number> {
  const rewrapped = page
    .filter(({ thing, wrapped }) => !keyring.isUnderNewest(thing, wrapped))
    .map(({ thing, wrapped, place }) => ({
      place,
      before: wrapped,
      after: rewrap(keyring, thing, wrapped),
    }));
  await replaceDataKeyWraps(db, keyring.tenantId, keyring.tenantNumber, rewrapped);
  return rewrapped.length;
}

async function countPage(
  _db: Kysely<KeysSchema>,
  keyring: TenantKeyring,
  page: Page,
): Promise<number> {
  for (const { thing, wrapped } of page) requireNewest(keyring, thing, wrapped);
  return page.length;
}

async function rewrapOthers(db: Kysely<KeysSchema>, keyring: TenantKeyring): Promise<void> {
  for (const { thing, wrapped } of await readOtherWraps(db, keyring.tenantNumber)) {
    if (thing.what === 'data-key' || keyring.isUnderNewest(thing, wrapped)) continue;
    const after = rewrap(keyring, thing, wrapped);
    await replaceOtherWrap(db, keyring.tenantNumber, thing, { before: wrapped, after });
  }
}

async function countOthers(db: Kysely<KeysSchema>, keyring: TenantKeyring): Promise<number> {
  const others = await readOtherWraps(db, keyring.tenantNumber);
  for (const { thing, wrapped } of others) requireNewest(keyring, thing, wrapped);
  return others.length;
}

type Thing = Parameters<TenantKeyring['wrap']>[0];

function rewrap(keyring: TenantKeyring, thing: Thing, wrapped: Buffer): Buffer {
  const secretBytes = keyring.requireUnwrapped(thing, wrapped);
  const after = keyring.wrap(thing, secretBytes);
  secretBytes.fill(0);
  return after;
}

function requireNewest(keyring: TenantKeyring, thing: Thing, wrapped: Buffer): void {
  if (keyring.isUnderNewest(thing, wrapped)) return;
  throw new ServiceError(
    'INTERNAL_DEFECT',
    `A ${thing.what} row of tenant ${keyring.tenantId} is not under the new tenant key; nothing was destroyed.`,
  );
}
