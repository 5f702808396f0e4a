import assert from 'node:assert/strict';
import { createSecretKey, randomBytes, randomUUID } from 'node:crypto';
import { rename } from 'node:fs/promises';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { type TenantId, tokenBytes, tokenFromBytes } from '@lethe/platform/ids/ids.ts';
import { createContributorMaker } from '@lethe/platform/ids/token-maker.ts';
import { KeyServiceService, ReturningPersons } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { monthOf } from '../domain/months.ts';
import { openKeyringKms } from '../kms/keyring-kms.ts';
import { createMonthClosing } from '../month-closing.ts';
import { createKeysCaller, createTenant, fence } from '../testing/keys-caller.ts';
import {
  createKeysWorld,
  type KeysWorld,
  type RunningKeys,
  someToken,
  startKeys,
  tenantNamed,
} from '../testing/keys-under-test.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';

const dayMs = 24 * 3_600_000;

describe('keys of a tenant', () => {
  const acme = tenantNamed('acme');
  let world: KeysWorld;
  let keys: RunningKeys;
  const as = (service: 'tickets' | 'usage' | 'privacy' | 'analytics') =>
    keys.peersOf(service)('keys');
  const tokenKeyOf = async (tenantId: TenantId) =>
    (await as('usage').unary(KeyServiceService.leaseTokenKey, { tenantId, holderId: 'u' }))
      .tokenKey;
  const contributorKeyOf = async (month: number, tenantId: TenantId = acme) => {
    const request = { tenantId, month, holderId: 't' };
    return (await as('tickets').unary(KeyServiceService.leaseContributorKey, request))
      .contributorKey;
  };
  const hasReason = (reason: string) => (error: unknown) =>
    error instanceof ServiceError && error.reason === reason;

  before(async function () {
    this.timeout(60_000);
    world = await createKeysWorld('keys-tenants');
    keys = await startKeys(world);
    await createTenant(keys, acme);
  });
  after(async () => {
    await keys.stop();
    await world.remove();
  });

  it('are made once, however often and at once the tenant is created', async () => {
    const globex = tenantNamed('globex');
    await Promise.all(Array.from({ length: 5 }, () => createTenant(keys, globex)));
    const tokenKey = await tokenKeyOf(globex);
    assert.equal(tokenKey.length, 32);
    await createTenant(keys, globex, ReturningPersons.RETURNING_PERSONS_REFUSE);
    assert.deepEqual(await tokenKeyOf(globex), tokenKey);
    assert.notDeepEqual(await tokenKeyOf(acme), tokenKey);
  });

  it('survive a restart', async () => {
    const before = await tokenKeyOf(acme);
    await keys.stop();
    keys = await startKeys(world);
    assert.deepEqual(await tokenKeyOf(acme), before);
  });

  it('are missed at the start when the keyring was lost or is another one', async () => {
    await keys.stop();
    await rename(world.keyringPath, `${world.keyringPath}.kept`);
    await assert.rejects(startKeys(world), hasReason('KMS_KEY_MISSING'));
    const other = await openKeyringKms({ path: world.keyringPath, randomBytes });
    await other.rotate(acme);
    await other.rotate(tenantNamed('globex'));
    await assert.rejects(startKeys(world), hasReason('KMS_UNWRAP_FAILED'));
    await rename(`${world.keyringPath}.kept`, world.keyringPath);
    keys = await startKeys(world);
  });

  it('are unknown without a tenant', async () => {
    await assert.rejects(tokenKeyOf(tenantNamed('nobody')), hasReason('TENANT_UNKNOWN'));
    const month = monthOf(world.clock.nowMs());
    await assert.rejects(
      contributorKeyOf(month, tenantNamed('nobody')),
      hasReason('TENANT_UNKNOWN'),
    );
  });

  it('of a month exist while it is open, and are destroyed with it', async () => {
    const month = monthOf(world.clock.nowMs());
    const [one, two] = await Promise.all([contributorKeyOf(month), contributorKeyOf(month)]);
    assert.equal(one.length, 32);
    assert.deepEqual(one, two);
    assert.equal((await contributorKeyOf(month + 1)).length, 0, 'ahead');
    assert.equal((await contributorKeyOf(month - 1)).length, 0, 'closed');
    world.clock.advance(16 * dayMs);
    assert.equal(monthOf(world.clock.nowMs()), month + 1);
    assert.deepEqual(await contributorKeyOf(month), one, 'within the grace');
    assert.notDeepEqual(await contributorKeyOf(month + 1), one);
    world.clock.advance(3 * dayMs);
    assert.equal((await contributorKeyOf(month)).length, 0, 'closed');
    const closing = createMonthClosing({
      db: world.db,
      clock: world.clock,
      logger: createLogger({ service: 'keys', level: 'silent' }),
      monthGraceMs: 3 * dayMs,
    });
    closing.start();
    const months = async () =>
      (await world.db.selectFrom('contributor_keys').select('month').execute()).map(
        (row) => row.month,
      );
    while ((await months()).includes(month)) await new Promise((resolve) => setImmediate(resolve));
    await closing.stop();
    assert.deepEqual(await months(), [month + 1]);
  });

  it('tell analytics the contributors of an erasure in the open months', async () => {
    const [erased, other] = [someToken(), someToken()];
    const month = monthOf(world.clock.nowMs());
    const contributorOf = createContributorMaker(createSecretKey(await contributorKeyOf(month)));
    const erasureId = randomUUID();
    await fence(keys, { tenantId: acme, erasureId, persons: [erased], cutOffMs: 0 });
    const ask = (id: string) =>
      as('analytics').unary(KeyServiceService.contributors, { tenantId: acme, erasureId: id });
    const { months } = await ask(erasureId);
    assert.deepEqual(months, [{ month, contributors: [contributorOf(erased)] }]);
    assert.notDeepEqual(months[0]?.contributors[0], contributorOf(other));
    await assert.rejects(ask(randomUUID()), hasReason('ERASURE_UNKNOWN'));
    world.clock.advance(40 * dayMs);
    assert.deepEqual((await ask(erasureId)).months, [], 'the month is closed');
  });

  it('resolve tokens of persons without making any', async () => {
    const tickets = createKeysCaller(keys, 'tickets', acme);
    await tickets.register();
    const [one, two, own, shared, unseen] = [
      someToken(),
      someToken(),
      someToken(),
      someToken(),
      someToken(),
    ];
    await tickets.seal(
      { scope: { kind: 'person', token: one }, aliases: [own, shared] },
      { scope: { kind: 'person', token: two }, aliases: [shared] },
    );
    const resolve = async () => {
      const tokens = [one, own, shared, unseen].map(tokenBytes);
      const request = { tenantId: acme, tokens };
      const { persons } = await as('privacy').unary(KeyServiceService.resolvePersons, request);
      return persons.map(({ personTokens }) => personTokens.map(tokenFromBytes));
    };
    const expected = [[one], [one], [one, two].toSorted(), []];
    assert.deepEqual(await resolve(), expected);
    assert.deepEqual(await resolve(), expected, 'asking made nothing');
    await fence(keys, { tenantId: acme, erasureId: randomUUID(), persons: [one], cutOffMs: 0 });
    assert.deepEqual(await resolve(), expected, 'an erased person still stands behind their ids');
  });
});
