import assert from 'node:assert/strict';
import { AppendOutcome } from '@lethe/proto/gen/lethe/log/v1/append.ts';
import { ErasureGround, ReturningPersons } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import {
  ErasureState,
  PrivacyServiceService,
  RegisterTenantRequest,
  RequestErasureRequest,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import {
  type NewTicketEvent,
  TicketServiceService,
} from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { scopeText } from '@lethe/platform/ids/ids.ts';
import type { KeyClient } from '@lethe/platform/key-client/port.ts';
import { until } from '@lethe/platform/testing/until.ts';
import { message, newEvent, opened } from '@lethe/tickets/testing/sample-events.ts';
import { type ComposedSystem, startComposedSystem } from './composed-system.ts';
import { createLooker, fencedScopes, findReadableParts } from './readable-parts.ts';

/** Appends of one scenario; over the scenarios of a policy they make 2,000 and more. */
const appendsPerScenario = 340;
/** So 40 calls are under way at a time. */
const appendsPerCall = 9;
const ticketsBefore = 5;
const erasedPerson = 'the-person-who-goes';
const otherPerson = 'a-person-who-stays';

interface Run {
  readonly system: ComposedSystem;
  readonly tenantId: TenantId;
  appendMany(name: string): Promise<void>;
  erase(): Promise<string>;
}

/** Each forces one order of fence, lease, transaction and push; what is not forced runs as it comes. */
const scenarios: Record<string, (run: Run) => Promise<readonly string[]>> = {
  'everything at once': async (run) => {
    const [, first, second] = await Promise.all([run.appendMany('a'), run.erase(), run.erase()]);
    return [first, second];
  },
  'appends while the fence is on its way to keys': async (run) => {
    const fence = run.system.gates.hold('privacy', 'Fence', 'request');
    const first = run.erase();
    await fence.reached;
    const second = run.erase();
    await run.appendMany('a');
    fence.open();
    return await Promise.all([first, second]);
  },
  'appends while only keys knows of the fence': async (run) => {
    const fence = run.system.gates.hold('privacy', 'Fence', 'response');
    const first = run.erase();
    await fence.reached;
    const second = run.erase();
    await run.appendMany('a');
    fence.open();
    return await Promise.all([first, second]);
  },
  'leases granted before the fence, used after it': async (run) => {
    const lease = run.system.gates.hold('tickets', 'Lease', 'response');
    const appends = run.appendMany('a');
    await lease.reached;
    const erasures = await Promise.all([run.erase(), run.erase()]);
    lease.open();
    await appends;
    return erasures;
  },
  'leases asked for before the fence, granted after it': async (run) => {
    const lease = run.system.gates.hold('tickets', 'Lease', 'request');
    const appends = run.appendMany('a');
    await lease.reached;
    const erasures = await Promise.all([run.erase(), run.erase()]);
    lease.open();
    await appends;
    return erasures;
  },
  'appends between two erasures, before the holders acknowledged the first': async (run) => {
    const acknowledgement = run.system.gates.hold('tickets', 'AcknowledgeRevocation', 'request');
    const first = await run.erase();
    await acknowledgement.reached;
    const [second] = await Promise.all([run.erase(), run.appendMany('a')]);
    acknowledgement.open();
    return [first, second];
  },
};

for (const policy of ['ALLOW', 'REFUSE'] as const) {
  describe(`two erasures and ${appendsPerScenario} appends of one person, returning: ${policy}`, function () {
    this.timeout(120_000);
    let system: ComposedSystem;
    let looker: KeyClient;
    before(async () => {
      system = await startComposedSystem(`races-${policy.toLowerCase()}`);
      looker = createLooker(system);
      await looker.start();
    });
    after(async () => {
      await looker.stop();
      await system.stop();
    });

    for (const [index, [name, play]] of Object.entries(scenarios).entries()) {
      it(`leave nothing readable of the fenced incarnation: ${name}`, async () => {
        const tenantId = `race-${policy.toLowerCase()}-${index}` as TenantId;
        const run = await prepare(system, tenantId, policy);
        const erasures = await play(run);
        for (const erasureId of erasures) await completed(system, tenantId, erasureId);

        const fenced = await fencedScopes(system, tenantId);
        const person = [...fenced.keys()].find((scope) => scope.startsWith('person/'));
        assert.ok(person !== undefined, 'the person was fenced');
        const { looked, readable } = await findReadableParts(system, looker, tenantId);
        assert.ok(looked > 0 && readable.length > 0, 'the other person can still be read');
        const isFenced = (scope: string, incarnation: number) =>
          incarnation <= (fenced.get(scope) ?? -1);
        const broken = readable.filter(
          ({ scope, incarnation, owner }) =>
            isFenced(scopeText(scope), incarnation) ||
            (owner !== undefined && isFenced(owner.scope, owner.incarnation)),
        );
        assert.deepEqual(broken, [], 'nothing of a fenced incarnation can be read');
        if (policy === 'REFUSE') {
          const theirs = readable.filter(
            ({ scope, owner }) => scopeText(scope) === person || owner?.scope === person,
          );
          assert.deepEqual(theirs, [], 'nothing of the person can be read at all');
        }
      });
    }
  });
}

async function prepare(system: ComposedSystem, tenantId: TenantId, policy: string): Promise<Run> {
  const returningPersons =
    policy === 'ALLOW'
      ? ReturningPersons.RETURNING_PERSONS_ALLOW
      : ReturningPersons.RETURNING_PERSONS_REFUSE;
  const settings = { region: 'test', retentionDays: 400, returningPersons };
  const { registerTenant, requestErasure } = PrivacyServiceService;
  await system.call(
    'privacy',
    registerTenant,
    RegisterTenantRequest.fromPartial({ tenantId, settings }),
  );
  const append = async (events: NewTicketEvent[]) => {
    const { appendTicketEvents } = TicketServiceService;
    return (await system.call('tickets', appendTicketEvents, { events }, tenantId)).results;
  };
  const first = Array.from({ length: ticketsBefore }, (_, n) =>
    newEvent(`T-${n}`, `before-${n}`, n, opened(erasedPerson)),
  );
  const kept = newEvent('kept', 'kept', 0, opened(otherPerson));
  for (const { outcome } of await append([...first, kept])) {
    assert.equal(outcome, AppendOutcome.APPEND_OUTCOME_ACCEPTED);
  }
  return {
    system,
    tenantId,
    appendMany: async (name) => {
      const events = Array.from({ length: appendsPerScenario }, (_, n) => raceEvent(name, n));
      const calls = Map.groupBy(events, (_, n) => Math.floor(n / appendsPerCall));
      await Promise.all([...calls.values()].map(append));
    },
    erase: async () => {
      const request = RequestErasureRequest.fromPartial({
        person: { $case: 'personId', value: erasedPerson },
        ground: ErasureGround.ERASURE_GROUND_CONSENT_WITHDRAWN,
      });
      const { erasure } = await system.call('privacy', requestErasure, request, tenantId);
      assert.ok(erasure !== undefined);
      return erasure.erasureId;
    },
  };
}

/** Old and new tickets of the person, messages of theirs, and messages they write in somebody else's ticket. */
function raceEvent(name: string, n: number): NewTicketEvent {
  const sourceId = `${name}-${n}`;
  const author = { kind: 1 } as const;
  switch (n % 5) {
    case 0:
      return newEvent(`old-${name}-${n}`, sourceId, n, opened(erasedPerson));
    case 1: {
      const event = newEvent(`new-${name}-${n}`, sourceId, 0, opened(erasedPerson));
      // Beyond cut-off and skew: a new ticket of a person who came back.
      return { ...event, occurredAt: new Date(Date.now() + 3_600_000) };
    }
    case 2:
      return newEvent('kept', sourceId, n, message(erasedPerson, author));
    default:
      return newEvent(`T-${n % ticketsBefore}`, sourceId, n, message(erasedPerson, author));
  }
}

async function completed(system: ComposedSystem, tenantId: TenantId, erasureId: string) {
  await until(async () => {
    const { getErasure } = PrivacyServiceService;
    const { erasure } = await system.call('privacy', getErasure, { erasureId }, tenantId);
    return erasure?.state === ErasureState.ERASURE_STATE_COMPLETED;
  }, 60_000);
}
