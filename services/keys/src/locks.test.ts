import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { type Kysely, sql, type Transaction } from 'kysely';
import { isUuidText } from '@lethe/platform/ids/ids.ts';
import { ensureErased, fenceErasure } from './fencing.ts';
import { createTenantKeyrings } from './hierarchy/tenant-keyrings.ts';
import { openKeyringKms } from './kms/keyring-kms.ts';
import type { KeysSchema } from './store/schema.ts';
import { lockTenantShared } from './store/tenants.ts';
import { createTenant } from './testing/keys-caller.ts';
import {
  createKeysWorld,
  type KeysWorld,
  startKeys,
  tenantNamed,
  testConfig,
} from './testing/keys-under-test.ts';

/**
 * PGlite runs one transaction after the other, so no race here goes wrong without the fence lock; on a PostgreSQL server
 * the law in rpc/fence.test.ts does. These hold that the lock is taken, and how.
 */
describe('the fence lock', () => {
  const acme = tenantNamed('acme');
  let world: KeysWorld;

  before(async function () {
    this.timeout(60_000);
    world = await createKeysWorld('keys-locks');
    const keys = await startKeys(world);
    await createTenant(keys, acme);
    await keys.stop();
  });
  after(() => world.remove());

  const keyringOf = async () => {
    const kms = await openKeyringKms({ path: world.keyringPath, randomBytes });
    return createTenantKeyrings({ ...world, ...testConfig, kms, randomBytes }).of(acme);
  };
  const modesIn = (work: (tx: Transaction<KeysSchema>) => Promise<unknown>): Promise<string[]> =>
    world.db.transaction().execute(async (tx) => {
      await work(tx);
      return heldModes(tx);
    });
  const erasureId = () => {
    const id = randomUUID();
    assert.ok(isUuidText(id));
    return id;
  };

  it('is held shared where keys are issued', async () => {
    const keyring = await keyringOf();
    assert.deepEqual(await modesIn((tx) => lockTenantShared(tx, keyring)), ['ShareLock']);
  });

  it('is held exclusively where scopes are fenced', async () => {
    const order = { tenantId: acme, persons: [], tickets: [], cutOffMs: 0, nowMs: 0 };
    const modes = await modesIn((tx) => fenceErasure(tx, { ...order, erasureId: erasureId() }));
    assert.deepEqual(modes, ['ExclusiveLock']);
  });

  it('is held exclusively where a list from the log is made sure of', async () => {
    const order = { tenantId: acme, scopes: [], nowMs: 0 };
    const modes = await modesIn((tx) => ensureErased(tx, { ...order, erasureId: erasureId() }));
    assert.deepEqual(modes, ['ExclusiveLock']);
  });
});

async function heldModes(tx: Kysely<KeysSchema>): Promise<string[]> {
  const { rows } = await sql<{ mode: string }>`
    select mode from pg_locks where locktype = 'advisory' and granted`.execute(tx);
  return rows.map(({ mode }) => mode);
}
