import assert from 'node:assert/strict';
import { ReturningPersons } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import {
  PrivacyServiceService,
  type RegisterTenantRequest,
  type RegisterTenantResponse,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { until } from '@lethe/platform/testing/until.ts';
import {
  createPrivacyWorld,
  officerOf,
  platformAdmin,
  type PrivacyWorld,
  type RunningPrivacy,
  startPrivacy,
} from './testing/privacy-under-test.ts';

const { registerTenant, listTenants } = PrivacyServiceService;
const allow = ReturningPersons.RETURNING_PERSONS_ALLOW;
const refuse = ReturningPersons.RETURNING_PERSONS_REFUSE;

function requestFor(
  tenantId: string,
  returningPersons: ReturningPersons = allow,
): RegisterTenantRequest {
  return { tenantId, settings: { region: 'eu-central', retentionDays: 400, returningPersons } };
}

describe('tenants', function () {
  this.timeout(60_000);
  let world: PrivacyWorld;
  let privacy: RunningPrivacy;

  before(async () => {
    world = await createPrivacyWorld('privacy_tenants');
    privacy = await startPrivacy(world);
  });

  after(async () => {
    await privacy.service.stop();
    await world.remove();
  });

  afterEach(() => {
    world.keys.refusal = undefined;
  });

  const register = async (request: RegisterTenantRequest): Promise<RegisterTenantResponse> =>
    await privacy.call(platformAdmin, registerTenant, request);

  /** The registrations of a tenant on the log, once there is one. */
  const registrationsOf = async (tenantId: string) => {
    const told = async () =>
      (await world.published()).filter(({ header }) => header.tenantId === tenantId);
    await until(async () => (await told()).length > 0);
    return await told();
  };

  it('are registered with keys and told to the log, once', async () => {
    const first = await register(requestFor('once'));
    assert.equal(first.created, true);
    assert.equal(world.keys.tenants.get('once'), allow);
    const again = await register(requestFor('once'));
    assert.deepEqual(again, { ...first, created: false });
    const events = await registrationsOf('once');
    assert.equal(events.length, 1);
    const [{ header, event } = assert.fail()] = events;
    assert.equal(header.type, 'TenantRegistered');
    assert.equal(header.position, 1n);
    assert.ok(event.$case === 'tenantRegistered');
    assert.deepEqual(event.value.settings, requestFor('once').settings);
    assert.deepEqual(event.value.registeredAt, first.tenant?.registeredAt);
  });

  it('keep their settings: others are refused, unspecified stands for allow', async () => {
    await register(requestFor('kept', ReturningPersons.RETURNING_PERSONS_UNSPECIFIED));
    assert.equal((await register(requestFor('kept', allow))).created, false);
    const others = [
      requestFor('kept', refuse),
      {
        tenantId: 'kept',
        settings: { region: 'us-east', retentionDays: 400, returningPersons: allow },
      },
      {
        tenantId: 'kept',
        settings: { region: 'eu-central', retentionDays: 14, returningPersons: allow },
      },
    ];
    for (const other of others) await assert.rejects(register(other), { reason: 'TENANT_EXISTS' });
    assert.equal(world.keys.tenants.get('kept'), allow);
  });

  it('that are registered by two at once exist once, with keys of the same settings', async () => {
    const calls = [register(requestFor('race', refuse)), register(requestFor('race', refuse))];
    const answers = await Promise.all(calls);
    assert.equal(answers.filter(({ created }) => created).length, 1);
    assert.equal((await registrationsOf('race')).length, 1);
    const rivals = await Promise.allSettled([
      register(requestFor('rivals', refuse)),
      register(requestFor('rivals', allow)),
    ]);
    const won = rivals.flatMap((rival) => (rival.status === 'fulfilled' ? [rival.value] : []));
    assert.equal(won.length, 1);
    const settings = won[0]?.tenant?.settings;
    assert.equal(world.keys.tenants.get('rivals'), settings?.returningPersons);
  });

  it('are not registered while keys cannot be made, and are by the next call', async () => {
    world.keys.refusal = new ServiceError('KEYS_UNAVAILABLE');
    await assert.rejects(register(requestFor('later')), { reason: 'KEYS_UNAVAILABLE' });
    const listed = await privacy.call(platformAdmin, listTenants, { pageSize: 500, pageToken: '' });
    assert.ok(listed.tenants.every(({ tenantId }) => tenantId !== 'later'));
    world.keys.refusal = undefined;
    assert.equal((await register(requestFor('later'))).created, true);
    assert.equal((await registrationsOf('later')).length, 1);
  });

  it('are refused with every broken rule at once', async () => {
    const request = {
      tenantId: 'Acme!',
      settings: { region: 'EU', retentionDays: 0, returningPersons: 9 as ReturningPersons },
    };
    await assert.rejects(register(request), (error) => {
      assert.ok(error instanceof ServiceError);
      assert.deepEqual(
        error.violations.map(({ field }) => field),
        ['tenant_id', 'settings.region', 'settings.retention_days', 'settings.returning_persons'],
      );
      return true;
    });
    const bare = { tenantId: 'acme', settings: undefined };
    await assert.rejects(register(bare), { reason: 'INVALID_FIELDS' });
  });

  it('are listed in pages by id, nobody twice and nobody left out', async () => {
    for (const number of [1, 2, 3, 4, 5]) await register(requestFor(`page-${number}`));
    const all = await privacy.call(platformAdmin, listTenants, { pageSize: 0, pageToken: '' });
    const seen: string[] = [];
    let pageToken = '';
    do {
      const request = { pageSize: 2, pageToken };
      const page = await privacy.call(platformAdmin, listTenants, request);
      assert.ok(page.tenants.length <= 2);
      seen.push(...page.tenants.map(({ tenantId }) => tenantId));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    assert.deepEqual(
      seen,
      all.tenants.map(({ tenantId }) => tenantId),
    );
    assert.deepEqual(seen, [...new Set(seen)].toSorted());
    assert.ok(seen.length >= 5);
    for (const request of [
      { pageSize: 501, pageToken: '' },
      { pageSize: 1, pageToken: 'bm90IG9uZQ' },
    ]) {
      await assert.rejects(privacy.call(platformAdmin, listTenants, request), {
        reason: 'INVALID_FIELDS',
      });
    }
  });

  it('are the business of platform admins alone', async () => {
    const officer = officerOf('acme' as TenantId);
    await assert.rejects(privacy.call(officer, registerTenant, requestFor('mine')), {
      reason: 'ROLE_REQUIRED',
    });
    await assert.rejects(privacy.call(officer, listTenants, { pageSize: 0, pageToken: '' }), {
      reason: 'ROLE_REQUIRED',
    });
  });
});
