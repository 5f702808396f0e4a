import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { copyFile } from 'node:fs/promises';
import { sql } from 'kysely';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { Scope } from '@lethe/platform/ids/ids.ts';
import {
  KeyServiceService,
  LeaseStatus,
  type ScopeLease,
} from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { createTenantKeyrings } from './hierarchy/tenant-keyrings.ts';
import { openKeyringKms } from './kms/keyring-kms.ts';
import type { Kms } from './kms/port.ts';
import { monthOf } from './domain/months.ts';
import { rotateTenant } from './rotate-tenant.ts';
import { readOtherWraps, replaceOtherWrap } from './store/rotation.ts';
import { StaleKeyring } from './store/tenants.ts';
import { createKeysCaller, createTenant, fence, type KeysCaller } from './testing/keys-caller.ts';
import {
  createKeysWorld,
  type KeysWorld,
  type RunningKeys,
  someToken,
  startKeys,
  tenantNamed,
  testConfig,
} from './testing/keys-under-test.ts';

describe('rotateTenant', () => {
  const acme = tenantNamed('acme');
  let world: KeysWorld;
  let keys: RunningKeys;
  let tickets: KeysCaller;

  const portsOf = (kms: Kms) => ({
    db: world.db,
    kms,
    keyrings: createTenantKeyrings({ ...world, ...testConfig, kms, randomBytes }),
    clock: world.clock,
    randomBytes,
    pageRows: 3,
  });
  const sealMany = async (
    count: number,
  ): Promise<readonly { scope: Scope; lease: ScopeLease }[]> => {
    const scopes = Array.from(
      { length: count },
      () => ({ kind: 'person', token: someToken() }) as const,
    );
    const leases = await tickets.seal(...scopes.map((scope) => ({ scope })));
    return scopes.flatMap((scope, index) => {
      const lease = leases[index];
      return lease === undefined ? [] : [{ scope, lease }];
    });
  };
  const allOpen = async (sealed: Awaited<ReturnType<typeof sealMany>>): Promise<boolean> => {
    const opened = await tickets.open(
      ...sealed.map(({ scope, lease: { incarnation, keyId } }) => ({ scope, incarnation, keyId })),
    );
    return opened.every(
      ({ status, dataKey, digestKey }, index) =>
        status === LeaseStatus.LEASE_STATUS_GRANTED &&
        dataKey.equals(sealed[index]?.lease.dataKey ?? Buffer.alloc(0)) &&
        digestKey.equals(sealed[index]?.lease.digestKey ?? Buffer.alloc(0)),
    );
  };
  const tokenKey = async () =>
    (
      await keys
        .peersOf('usage')('keys')
        .unary(KeyServiceService.leaseTokenKey, { tenantId: acme, holderId: 'u' })
    ).tokenKey;
  const contributorKey = async () =>
    (
      await keys
        .peersOf('usage')('keys')
        .unary(KeyServiceService.leaseContributorKey, {
          tenantId: acme,
          month: monthOf(world.clock.nowMs()),
          holderId: 'u',
        })
    ).contributorKey;
  const tenantKeys = () =>
    world.db.selectFrom('tenant_keys').select(['number', 'wrapped']).orderBy('number').execute();

  beforeEach(async function () {
    this.timeout(60_000);
    world = await createKeysWorld('keys-rotation');
    keys = await startKeys(world);
    await createTenant(keys, acme);
    tickets = createKeysCaller(keys, 'tickets', acme);
    await tickets.register();
  });
  afterEach(async () => {
    await keys.stop();
    await world.remove();
  });

  it('leaves every key as it was, under a new tenant key, while leases go on', async () => {
    const sealed = await sealMany(10);
    const before = [await tokenKey(), await contributorKey()];
    const during: Awaited<ReturnType<typeof sealMany>>[number][] = [];
    const rotating = rotateTenant(portsOf(keys.kms), acme);
    for (let index = 0; index < 10; index += 1) during.push(...(await sealMany(1)));
    const { rows, kmsVersion } = await rotating;
    assert.ok(rows >= 12 && rows <= 22);
    assert.equal(kmsVersion, 2);
    assert.ok(await allOpen([...sealed, ...during]));
    assert.deepEqual([await tokenKey(), await contributorKey()], before);
    assert.deepEqual(
      (await tenantKeys()).map(({ number }) => number),
      [2],
    );
  });

  it('is noticed by a process that has the older tenant key in memory', async () => {
    const sealed = await sealMany(2);
    await rotateTenant(portsOf(keys.kms), acme);
    const fresh = await sealMany(2);
    assert.ok(await allOpen([...sealed, ...fresh]));
    const other = portsOf(keys.kms);
    const { rows } = await rotateTenant(other, acme);
    assert.equal(rows, 5, 'nothing was wrapped with the older one');
  });

  it('makes a copy of the store useless, so that an erased person stays erased', async () => {
    await sealMany(1);
    const [stolen] = await tenantKeys();
    assert.ok(stolen !== undefined);
    await keys.kms.unwrap(acme, stolen.wrapped);
    await rotateTenant(portsOf(keys.kms), acme);
    const unwrapFails = (error: unknown): boolean =>
      error instanceof ServiceError && error.reason === 'KMS_UNWRAP_FAILED';
    await assert.rejects(keys.kms.unwrap(acme, stolen.wrapped), unwrapFails);
  });

  it('keeps the wraps of a later rotation that overtook it', async () => {
    const before = [await tokenKey(), await contributorKey()];
    const { tenantNumber } = await portsOf(keys.kms).keyrings.of(acme);
    const read = await readOtherWraps(world.db, tenantNumber);
    assert.equal(read.length, 2);
    await rotateTenant(portsOf(keys.kms), acme);
    for (const { thing, wrapped } of read) {
      if (thing.what === 'data-key') continue;
      const wraps = { before: wrapped, after: randomBytes(60) };
      await replaceOtherWrap(world.db, tenantNumber, thing, wraps);
    }
    assert.deepEqual([await tokenKey(), await contributorKey()], before);
  });

  /** Runs a whole other rotation after this call to the KMS. */
  const overtakenAfter = (operation: 'rotate' | 'wrap'): Kms => {
    let isFirst = true;
    const overtake = async <Result>(result: Result): Promise<Result> => {
      if (isFirst) {
        isFirst = false;
        await rotateTenant(portsOf(keys.kms), acme);
      }
      return result;
    };
    const { kms } = keys;
    return operation === 'rotate'
      ? { ...kms, rotate: async (...args) => await overtake(await kms.rotate(...args)) }
      : { ...kms, wrap: async (...args) => await overtake(await kms.wrap(...args)) };
  };
  for (const operation of ['rotate', 'wrap'] as const) {
    it(`ends and destroys nothing when another one overtakes it after its ${operation}`, async () => {
      const sealed = await sealMany(4);
      await assert.rejects(rotateTenant(portsOf(overtakenAfter(operation)), acme), StaleKeyring);
      assert.deepEqual(
        (await tenantKeys()).map(({ number }) => number),
        [2],
      );
      await portsOf(keys.kms).keyrings.of(acme);
      assert.ok(await allOpen(sealed));
      await rotateTenant(portsOf(keys.kms), acme);
      assert.ok(await allOpen(sealed));
    });
  }

  it('does not fail who loads meanwhile the keys that it destroys', async () => {
    const { db, clock } = world;
    let isFirst = true;
    const unwrap: Kms['unwrap'] = async (tenantId, wrapped) => {
      if (isFirst) {
        isFirst = false;
        await rotateTenant(portsOf(keys.kms), acme);
      }
      return await keys.kms.unwrap(tenantId, wrapped);
    };
    const kms = { ...keys.kms, unwrap };
    const keyrings = createTenantKeyrings({ ...testConfig, db, clock, kms, randomBytes });
    assert.equal((await keyrings.of(acme)).newestNumber, 2);
  });

  it('makes no KMS key for a tenant that is not there', async () => {
    const nobody = tenantNamed('nobody');
    const hasReason = (reason: string) => (error: unknown) =>
      error instanceof ServiceError && error.reason === reason;
    await assert.rejects(rotateTenant(portsOf(keys.kms), nobody), hasReason('TENANT_UNKNOWN'));
    await assert.rejects(keys.kms.wrap(nobody, randomBytes(32)), hasReason('KMS_KEY_MISSING'));
  });

  it('does not bring back what was erased while it ran', async () => {
    const sealed = await sealMany(10);
    const tokens = sealed.flatMap(({ scope }) => (scope.kind === 'person' ? [scope.token] : []));
    const rotating = rotateTenant(portsOf(keys.kms), acme);
    await fence(keys, { tenantId: acme, erasureId: randomUUID(), persons: tokens, cutOffMs: 0 });
    await rotating;
    const rows = await world.db.selectFrom('data_keys').select('scope').execute();
    assert.equal(rows.length, 0);
  });

  for (const dying of ['wrap', 'destroyVersionsBefore'] as const) {
    it(`is completed by a repeat after the process died at ${dying}`, async () => {
      const sealed = await sealMany(4);
      const mortal: Kms = {
        ...keys.kms,
        [dying]: () => Promise.reject(new Error('the process died')),
      };
      await assert.rejects(rotateTenant(portsOf(mortal), acme), /died/);
      assert.ok(await allOpen(sealed));
      await rotateTenant(portsOf(keys.kms), acme);
      assert.ok(await allOpen(sealed));
      assert.equal((await tenantKeys()).length, 1);
    });
  }

  it('destroys nothing while a row is not under the new tenant key', async () => {
    const [one] = await sealMany(1);
    assert.ok(one !== undefined);
    await world.db
      .updateTable('data_keys')
      .set({ wrapped: randomBytes(60) })
      .execute();
    const [before] = await tenantKeys();
    await assert.rejects(rotateTenant(portsOf(keys.kms), acme), ServiceError);
    const after = await tenantKeys();
    assert.deepEqual(after[0], before);
    await keys.kms.unwrap(acme, before?.wrapped ?? Buffer.alloc(0));
  });

  it('destroys nothing when the store did not take the new wraps', async () => {
    const sealed = await sealMany(4);
    await sql`create function keep_old() returns trigger language plpgsql as
      'begin return null; end'`.execute(world.db);
    await sql`create trigger keep_old before update on data_keys
      for each row execute function keep_old()`.execute(world.db);
    await assert.rejects(rotateTenant(portsOf(keys.kms), acme), /nothing was destroyed/);
    assert.equal((await tenantKeys()).length, 2);
    await sql`drop trigger keep_old on data_keys`.execute(world.db);
    assert.ok(await allOpen(sealed));
  });

  it('keeps what a copy of the keyring opens: such copies obey the same horizon', async () => {
    await copyFile(world.keyringPath, `${world.keyringPath}.copy`);
    const [stolen] = await tenantKeys();
    await rotateTenant(portsOf(keys.kms), acme);
    const copy = await openKeyringKms({ path: `${world.keyringPath}.copy`, randomBytes });
    assert.equal((await copy.unwrap(acme, stolen?.wrapped ?? Buffer.alloc(0))).length, 32);
  });
});
