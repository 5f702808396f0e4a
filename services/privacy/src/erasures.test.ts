import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { ServiceName } from '@lethe/proto/access.ts';
import { ErasureGround, ReturningPersons } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import {
  type Erasure,
  ErasureState,
  PrivacyServiceService,
  ReceiptServiceService,
  type RequestErasureRequest,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { consumersOf } from '@lethe/proto/topics.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { TenantId, Token } from '@lethe/platform/ids/ids.ts';
import { newUuid } from '@lethe/platform/ids/new-id.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { until } from '@lethe/platform/testing/until.ts';
import { compactVerify, decodeProtectedHeader, importSPKI } from 'jose';
import { sql } from 'kysely';
import { type FakePerson, fencingMs, revokingMs, tokensOf } from './testing/fake-keys.ts';
import {
  createPrivacyWorld,
  officerOf,
  platformAdmin,
  type PrivacyWorld,
  type RunningPrivacy,
  startPrivacy,
} from './testing/privacy-under-test.ts';

const rpc = PrivacyServiceService;
const acme = 'acme' as TenantId;
const zeta = 'zeta' as TenantId;
const officer = officerOf(acme);
const stranger = officerOf(zeta);
const obliged = consumersOf('privacy.v1');
const maker = tokensOf(acme);
const ticketOf = (byte: string): Token => byte.repeat(16) as Token;

const ada: FakePerson = {
  token: maker.person('u-1'),
  aliases: [
    maker.alias('email', 'ada@example.com'),
    maker.alias('phone', '+49 30 1'),
    maker.alias('id', 'crm:1'),
    maker.alias('email', 'desk@example.com'),
  ],
  tickets: [ticketOf('a1'), ticketOf('a2')],
};
const bo: FakePerson = {
  token: maker.person('u-2'),
  aliases: [maker.alias('email', 'desk@example.com')],
  tickets: [ticketOf('b1')],
};

const ofAda = { $case: 'personId', value: 'u-1' } as const;
const ofDesk = { $case: 'email', value: 'desk@example.com' } as const;

function wish(change: Partial<RequestErasureRequest> = {}): RequestErasureRequest {
  return {
    person: ofAda,
    ground: ErasureGround.ERASURE_GROUND_CONSENT_WITHDRAWN,
    dryRun: false,
    confirmedPersonTokens: [],
    erasureId: '',
    ...change,
  };
}

describe('erasures', function () {
  this.timeout(60_000);
  let world: PrivacyWorld;
  let privacy: RunningPrivacy;

  before(async () => {
    world = await createPrivacyWorld('privacy_erasures');
    world.keys.people.push(ada, bo);
    privacy = await startPrivacy(world);
    for (const tenantId of [acme, zeta]) {
      const returningPersons = ReturningPersons.RETURNING_PERSONS_ALLOW;
      const settings = { region: 'eu-central', retentionDays: 400, returningPersons };
      await privacy.call(platformAdmin, rpc.registerTenant, { tenantId, settings });
    }
  });

  after(async () => {
    await privacy.service.stop();
    await world.remove();
  });

  beforeEach(() => {
    world.keys.refusal = undefined;
    world.keys.isUnreadable = true;
    world.keys.fenceRequests.length = 0;
  });

  async function request(change: Partial<RequestErasureRequest> = {}): Promise<Erasure> {
    const { erasure } = await privacy.call(officer, rpc.requestErasure, wish(change));
    assert.ok(erasure);
    return erasure;
  }

  async function get(erasureId: string): Promise<Erasure> {
    const { erasure } = await privacy.call(officer, rpc.getErasure, { erasureId });
    assert.ok(erasure);
    return erasure;
  }

  async function sendReceipt(
    erasureId: string,
    service: ServiceName,
    change: {
      readonly tenantId?: string;
      readonly claims?: string;
      readonly records?: bigint;
    } = {},
  ): Promise<void> {
    const receipt = {
      service: change.claims ?? service,
      records: change.records ?? 4n,
      rows: 3n,
      boxesUnreadable: 1n,
      ledgerComplete: true,
      finishedAt: new Date(),
    };
    const message = { tenantId: change.tenantId ?? acme, erasureId, receipt };
    await privacy.peersOf(service)('privacy').unary(ReceiptServiceService.recordReceipt, message);
  }

  async function completedErasure(erasureId: string): Promise<Erasure> {
    const { ERASURE_STATE_COMPLETED } = ErasureState;
    await until(async () => (await get(erasureId)).state === ERASURE_STATE_COMPLETED);
    return await get(erasureId);
  }

  async function complete(erasureId: string): Promise<Erasure> {
    for (const service of obliged) await sendReceipt(erasureId, service);
    return await completedErasure(erasureId);
  }

  async function rowCounts(): Promise<unknown> {
    const { rows } = await sql`select
      (select count(*) from erasures) as erasures,
      (select last_value from outbox_row_id_seq) as enqueued`.execute(world.db);
    return rows;
  }

  describe('a request', () => {
    it('fences at once and reaches the person by any of their ids', async () => {
      const persons = [
        ofAda,
        { $case: 'personId', value: 'crm:1' },
        { $case: 'email', value: 'ADA@example.com' },
        { $case: 'phone', value: '0049301' },
        { $case: 'personToken', value: ada.token.toUpperCase() },
      ] as const;
      for (const person of persons) {
        const erasure = await request({ person });
        assert.equal(erasure.state, ErasureState.ERASURE_STATE_UNREADABLE);
        assert.deepEqual(erasure.personTokens, [ada.token]);
        assert.equal(erasure.tickets, 2n);
        assert.equal(erasure.keysDestroyed, 4n);
        assert.deepEqual(erasure.obligedServices, [...obliged]);
        const requestedAtMs = erasure.requestedAt?.getTime() ?? 0;
        const unreadableAtMs = requestedAtMs + fencingMs + revokingMs;
        assert.equal(erasure.unreadableAt?.getTime(), unreadableAtMs);
      }
      const [fence] = world.keys.fenceRequests;
      assert.equal(fence?.tenantId, acme);
      assert.deepEqual(fence.cutOff, (await get(fence.erasureId)).requestedAt);
    });

    it('is answered although keys cannot fence now; the driver goes on by itself', async () => {
      const erasureId = newUuid(systemClock, randomBytes);
      world.keys.fenceRefusal = new ServiceError('KEYS_UNAVAILABLE');
      const erasure = await request({ erasureId });
      assert.equal(erasure.state, ErasureState.ERASURE_STATE_REQUESTED);
      assert.equal(world.keys.fenceRequests.length, 0);
      world.keys.fenceRefusal = undefined;
      await until(async () => (await get(erasureId)).fencedAt !== undefined);
    });

    it('with an id returns the first erasure when it is repeated', async () => {
      const erasureId = newUuid(systemClock, randomBytes);
      const first = await request({ erasureId });
      const again = await request({ erasureId: erasureId.toUpperCase(), person: ofDesk });
      assert.deepEqual(again, first);
      const both = await Promise.all(
        [1, 2, 3].map(
          async () => await request({ erasureId: '0198c1de-5f00-7abc-8def-0123456789ab' }),
        ),
      );
      assert.equal(new Set(both.map(({ requestedAt }) => requestedAt?.getTime())).size, 1);
    });

    it('cannot take or see an id of another tenant', async () => {
      const { erasureId } = await request();
      const foreign = privacy.call(stranger, rpc.requestErasure, wish({ erasureId }));
      await assert.rejects(foreign, (error) => {
        assert.ok(error instanceof ServiceError && error.reason === 'INVALID_FIELDS');
        return error.violations[0]?.field === 'erasure_id';
      });
    });

    it('is refused for nobody, for several people, and for people who do not have the id', async () => {
      const before = await rowCounts();
      const unknown = { $case: 'email', value: 'nobody@example.com' } as const;
      await assert.rejects(request({ person: unknown }), { reason: 'PERSON_UNKNOWN' });
      await assert.rejects(request({ person: ofDesk }), { reason: 'PERSON_AMBIGUOUS' });
      const confirmedPersonTokens = [bo.token];
      await assert.rejects(request({ confirmedPersonTokens }), { reason: 'INVALID_FIELDS' });
      assert.deepEqual(await rowCounts(), before);
      assert.equal(world.keys.fenceRequests.length, 0);
    });

    it('by a shared id erases those whom the officer confirms, and nobody else', async () => {
      const one = await request({ person: ofDesk, confirmedPersonTokens: [bo.token] });
      assert.deepEqual(one.personTokens, [bo.token]);
      assert.equal(one.tickets, 1n);
      const tokens = [bo.token, ada.token];
      const two = await request({ person: ofDesk, confirmedPersonTokens: [...tokens, bo.token] });
      assert.deepEqual(two.personTokens, tokens.toSorted());
    });

    it('is refused with every broken rule at once', async () => {
      const broken = {
        person: { $case: 'personToken', value: 'xyz' },
        ground: ErasureGround.ERASURE_GROUND_UNSPECIFIED,
        confirmedPersonTokens: ['1'],
        erasureId: '7',
      } as const;
      await assert.rejects(request({ ...broken, confirmedPersonTokens: ['1'] }), (error) => {
        assert.ok(error instanceof ServiceError);
        const fields = error.violations.map(({ field }) => field);
        const expected = ['person_token', 'confirmed_person_tokens', 'ground', 'erasure_id'];
        assert.deepEqual(fields, expected);
        assert.ok(!error.message.includes('xyz'), 'no value of the request');
        return true;
      });
      const wishes: Partial<RequestErasureRequest>[] = [
        { person: undefined },
        { person: { $case: 'email', value: '  ' } },
        { person: { $case: 'personId', value: 'x'.repeat(257) } },
        { ground: 99 as ErasureGround },
        { dryRun: true, ground: 99 as ErasureGround },
      ];
      for (const change of wishes) {
        await assert.rejects(request(change), { reason: 'INVALID_FIELDS' });
      }
    });

    it('needs a registered tenant and the role', async () => {
      const nobody = officerOf('nobody' as TenantId);
      const unknown = privacy.call(nobody, rpc.requestErasure, wish());
      await assert.rejects(unknown, { reason: 'TENANT_UNKNOWN' });
      const reader = { ...officer, roles: ['reader'] } as typeof officer;
      const refused = privacy.call(reader, rpc.requestErasure, wish());
      await assert.rejects(refused, { reason: 'ROLE_REQUIRED' });
    });
  });

  describe('a dry run', () => {
    it('says what would go, by service, and changes nothing', async () => {
      const before = await rowCounts();
      const { erasure, preview } = await privacy.call(
        officer,
        rpc.requestErasure,
        wish({ dryRun: true, ground: ErasureGround.ERASURE_GROUND_UNSPECIFIED }),
      );
      assert.equal(erasure, undefined);
      assert.deepEqual(preview?.personTokens, [ada.token]);
      assert.equal(preview.tickets, 2n);
      const participants = ['tickets', 'predictions', 'usage', 'analytics'];
      assert.deepEqual(preview.services, [
        ...participants.map((service) => ({
          service,
          records: 10n,
          rows: 3n,
          boxesUnreadable: 2n,
          keys: 0n,
        })),
        { service: 'keys', records: 0n, rows: 0n, boxesUnreadable: 0n, keys: 4n },
      ]);
      assert.deepEqual(await rowCounts(), before);
      assert.equal(world.keys.fenceRequests.length, 0);
    });

    it('lists everybody who shares the id, to be confirmed', async () => {
      const run = wish({ dryRun: true, person: ofDesk });
      const { preview } = await privacy.call(officer, rpc.requestErasure, run);
      assert.deepEqual(preview?.personTokens, [ada.token, bo.token].toSorted());
      assert.equal(preview.tickets, 3n);
    });
  });

  describe('the round', () => {
    it('ends with a certificate that the open signing key verifies', async () => {
      const { erasureId } = await request();
      const waiting = privacy.call(officer, rpc.getCertificate, { erasureId });
      await assert.rejects(waiting, { reason: 'ERASURE_NOT_COMPLETED' });
      const erasure = await complete(erasureId);
      assert.equal(erasure.receipts.length, obliged.length);
      assert.ok(erasure.purgedAt && erasure.physicallyGoneBy);
      assert.equal(erasure.physicallyGoneBy.getTime() - erasure.purgedAt.getTime(), 3_000);
      const { certificateJws } = await privacy.call(officer, rpc.getCertificate, { erasureId });
      const anonymous = { kind: 'anonymous' } as const;
      const { keyId, publicKeyPem } = await privacy.call(anonymous, rpc.getSigningKey, {});
      await compactVerify(certificateJws, await importSPKI(publicKeyPem, 'EdDSA'));
      assert.equal(decodeProtectedHeader(certificateJws).kid, keyId);
    });

    it('is on the log in its order, each event once', async () => {
      const { erasureId } = await request();
      await complete(erasureId);
      const told = async () =>
        (await world.published()).filter(
          ({ event }) => 'erasureId' in event.value && event.value.erasureId === erasureId,
        );
      await until(async () =>
        (await told()).some(({ event }) => event.$case === 'erasureCompleted'),
      );
      const story = await told();
      assert.deepEqual(
        story.map(({ header }) => header.type),
        [
          'ErasureRequested',
          'ScopesErased',
          ...obliged.map(() => 'ErasureReceiptRecorded'),
          'ErasureCompleted',
        ],
      );
      assert.deepEqual(
        story.map(({ header }) => Number(header.position)),
        story.map((_, index) => index + 1),
      );
    });

    it('goes on in the next process', async () => {
      world.keys.isUnreadable = false;
      const { erasureId, state } = await request();
      assert.equal(state, ErasureState.ERASURE_STATE_FENCED);
      await privacy.service.stop();
      world.keys.isUnreadable = true;
      privacy = await startPrivacy(world);
      await complete(erasureId);
    });

    it('is watched at once, after each change, and until it is completed', async () => {
      world.keys.isUnreadable = false;
      const { erasureId } = await request();
      const seen: Erasure[] = [];
      const watch = async (): Promise<void> => {
        for await (const { erasure } of privacy.stream(officer, rpc.watchErasure, { erasureId })) {
          assert.ok(erasure);
          seen.push(erasure);
        }
      };
      const watching = watch();
      await until(() => seen.length > 0);
      // Two polls without a change: nothing is told again.
      await systemClock.sleep(2_200);
      world.keys.isUnreadable = true;
      await complete(erasureId);
      await watching;
      const states = seen.map(({ state }) => state);
      assert.equal(states[0], ErasureState.ERASURE_STATE_FENCED);
      assert.equal(states.at(-1), ErasureState.ERASURE_STATE_COMPLETED);
      assert.deepEqual(
        states,
        states.toSorted((left, right) => left - right),
      );
      const texts = seen.map((erasure) =>
        JSON.stringify(erasure, (_, value: unknown) =>
          typeof value === 'bigint' ? `${value}` : value,
        ),
      );
      assert.equal(new Set(texts).size, texts.length, 'nothing is told twice');
    });

    it('is watched no longer than the watcher wants', async () => {
      world.keys.isUnreadable = false;
      const { erasureId } = await request();
      const leaving = new AbortController();
      for await (const { erasure } of privacy.stream(
        officer,
        rpc.watchErasure,
        { erasureId },
        leaving.signal,
      )) {
        assert.ok(erasure);
        leaving.abort();
      }
    });
  });

  describe('receipts', () => {
    it('are taken once from each service, and the first stands', async () => {
      world.keys.isUnreadable = false;
      const { erasureId } = await request();
      await sendReceipt(erasureId, 'usage', { records: 7n });
      await sendReceipt(erasureId, 'usage', { records: 8n });
      const { receipts } = await get(erasureId);
      assert.deepEqual(
        receipts.map(({ service, records }) => [service, records]),
        [['usage', 7n]],
      );
      world.keys.isUnreadable = true;
      await complete(erasureId);
      await sendReceipt(erasureId, 'usage');
    });

    it('are refused from others than the service they name, and for erasures that are not there', async () => {
      const { erasureId } = await request();
      const forged = sendReceipt(erasureId, 'usage', { claims: 'tickets' });
      await assert.rejects(forged, { reason: 'INVALID_FIELDS' });
      const foreign = sendReceipt(erasureId, 'usage', { tenantId: zeta });
      await assert.rejects(foreign, { reason: 'ERASURE_UNKNOWN' });
      const missing = sendReceipt(newUuid(systemClock, randomBytes), 'usage');
      await assert.rejects(missing, { reason: 'ERASURE_UNKNOWN' });
      assert.deepEqual((await get(erasureId)).receipts, []);
    });
  });

  describe('another tenant', () => {
    it('sees nothing of an erasure, in any way', async () => {
      const { erasureId } = await request();
      await complete(erasureId);
      const unknown = { reason: 'ERASURE_UNKNOWN' };
      await assert.rejects(privacy.call(stranger, rpc.getErasure, { erasureId }), unknown);
      await assert.rejects(privacy.call(stranger, rpc.getCertificate, { erasureId }), unknown);
      const watching = privacy.stream(stranger, rpc.watchErasure, { erasureId });
      await assert.rejects(watching[Symbol.asyncIterator]().next(), unknown);
      const list = await privacy.call(stranger, rpc.listErasures, { pageSize: 0, pageToken: '' });
      assert.deepEqual(list.erasures, []);
    });
  });

  describe('the list', () => {
    it('is in pages, newest first, nothing twice and nothing left out', async () => {
      for (let count = 0; count < 3; count += 1) await request();
      const whole = await privacy.call(officer, rpc.listErasures, { pageSize: 200, pageToken: '' });
      const seen: Erasure[] = [];
      let pageToken = '';
      do {
        const page = await privacy.call(officer, rpc.listErasures, { pageSize: 2, pageToken });
        assert.ok(page.erasures.length <= 2);
        seen.push(...page.erasures);
        pageToken = page.nextPageToken;
      } while (pageToken !== '');
      const idsOf = (erasures: readonly Erasure[]) => erasures.map(({ erasureId }) => erasureId);
      assert.deepEqual(idsOf(seen), idsOf(whole.erasures));
      assert.equal(new Set(idsOf(seen)).size, seen.length);
      const times = seen.map(({ requestedAt }) => requestedAt?.getTime() ?? 0);
      assert.deepEqual(
        times,
        times.toSorted((left, right) => right - left),
      );
    });

    it('refuses pages that are too large and tokens that are not its own', async () => {
      for (const asked of [
        { pageSize: 201, pageToken: '' },
        { pageSize: 1, pageToken: 'x' },
      ]) {
        await assert.rejects(privacy.call(officer, rpc.listErasures, asked), {
          reason: 'INVALID_FIELDS',
        });
      }
      const malformed = privacy.call(officer, rpc.getErasure, { erasureId: 'x' });
      await assert.rejects(malformed, { reason: 'INVALID_FIELDS' });
    });
  });
});
