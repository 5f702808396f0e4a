import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { until } from '@lethe/platform/testing/until.ts';
import { type ServiceName, serviceNames } from '@lethe/proto/access.ts';
import { Grain } from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import { AppendOutcome } from '@lethe/proto/gen/lethe/log/v1/append.ts';
import { ReturningPersons } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import { PrivacyServiceService } from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { TicketStatus } from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import {
  type NewTicketEvent,
  TicketServiceService,
} from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { whyNoKafka } from '../../deploy/local/kafka.ts';
import { findPostgresBinaries } from '../../deploy/local/postgres.ts';
import { type SixProcesses, startSixProcesses } from '../../deploy/local/six-processes.ts';
import { checkStores } from '../faults/check-stores.ts';
import { openPatientClient, type PatientClient } from '../faults/client.ts';
import { requestErasure, untilCompleted } from '../faults/erase-in-between.ts';
import { untilSettled } from '../faults/settle.ts';
import { mintOf } from '../harness/access-tokens.ts';
import { openApi } from '../harness/api.ts';
import { allFigures, figuresComplete } from '../harness/figures.ts';
import { messageAdded, newEvent, statusChanged, ticketOpened } from '../harness/ticket-events.ts';
import { vaultBinary } from './vault-binary.ts';

const tenantId = 'tenant-to-mend';
/** Seconds on an idle machine. */
const withinMs = 600_000;
const tickets = Array.from({ length: 30 }, (_, index) => `T-${index + 1}`);
/** Known to the older copy of the database: every person and ticket has its keys. */
const known = tickets.flatMap((ticket, index) => [
  newEvent(ticket, ticketOpened(`requester-${index}`)),
  newEvent(ticket, messageAdded(`a first reply to ${ticket}`)),
]);
const later = tickets.flatMap((ticket) => [
  newEvent(ticket, messageAdded(`another reply to ${ticket}`)),
  newEvent(ticket, statusChanged(TicketStatus.TICKET_STATUS_SOLVED)),
]);

describe('a PostgreSQL of six processes that was restored from an older copy', function () {
  this.timeout(3_600_000);
  let six: SixProcesses;
  let client: PatientClient;

  before(async function () {
    const binary = await vaultBinary(process.env['CI'] === 'true');
    const why = binary === undefined ? 'no Vault' : whyNoKafka();
    if (binary === undefined || why !== undefined || findPostgresBinaries() === undefined) {
      console.warn(`SKIPPED: repair of six processes: ${why ?? 'no PostgreSQL'}`);
      assert.notEqual(process.env['CI'], 'true');
      this.skip();
    }
    six = await startSixProcesses({ vaultBinary: binary });
    client = openPatientClient(six.address, six.dataFolder);
  });
  after(async () => {
    client?.close();
    await six?.stop();
  });

  const append = async (events: readonly NewTicketEvent[]) => {
    const request = { events: [...events] };
    const { results } = await client.call(TicketServiceService.appendTicketEvents, request, {
      tenant: tenantId,
      roles: ['writer'],
    });
    return new Set(results.map(({ outcome }) => outcome));
  };
  const figures = async () => {
    const api = openApi(six.address, withinMs);
    const token = mintOf(six.dataFolder).mint({ tenant: tenantId, roles: ['reader'] });
    await figuresComplete(api, token, Grain.GRAIN_TOTAL, withinMs);
    const answered = await allFigures(api, token, Grain.GRAIN_TOTAL);
    api.close();
    return answered;
  };
  const stopAll = async () => {
    await Promise.all(serviceNames.map(async (name) => await six.service(name).end()));
  };
  const start = async (...names: readonly ServiceName[]) => {
    for (const name of names) six.service(name).start();
    await Promise.all(names.map(async (name) => await six.service(name).untilServing(withinMs)));
  };
  const settled = async () =>
    await untilSettled(
      six,
      [...six.services.values()].map((process) => ({ name: process.name, process })),
    );
  const repair = async (name: ServiceName, ...more: readonly string[]) =>
    await new Promise<{ readonly exitCode: number; readonly said: string }>((resolve) => {
      const { file, args, env } = six.service(name).command('--repair', ...more);
      execFile(file, args, { env }, (error, stdout, stderr) => {
        resolve({ exitCode: Number(error?.code ?? 0), said: stdout + stderr });
      });
    });

  it('stops its relays, says why, and goes on after a repair of each service', async () => {
    const settings = {
      region: 'eu-central',
      retentionDays: 400,
      returningPersons: ReturningPersons.RETURNING_PERSONS_ALLOW,
    };
    const { registerTenant } = PrivacyServiceService;
    await client.call(registerTenant, { tenantId, settings }, { roles: ['platform-admin'] });
    const accepted = new Set([AppendOutcome.APPEND_OUTCOME_ACCEPTED]);
    assert.deepEqual(await append(known), accepted);
    await settled();
    await stopAll();
    await six.postgres.stop();
    const copy = six.postgres.copy();
    await six.postgres.start();
    await start(...serviceNames);
    assert.deepEqual(await append(later), accepted);
    const person = await requestErasure(client, 'restored', tenantId, 'requester-0');
    await untilCompleted(client, person, withinMs);
    await settled();
    const before = await figures();
    await stopAll();
    await six.postgres.stop();
    six.postgres.restore(copy);
    await six.postgres.start();

    for (const name of ['privacy', 'keys', 'tickets'] as const) six.service(name).start();
    await until(async () => {
      const said = await six.service('tickets').health();
      return said?.problems.some((each) => each.includes('LOG_AHEAD_OF_TABLE')) === true;
    }, withinMs);
    six.service('analytics').start();
    // It would count twice what the ledger has and its database does not know.
    assert.equal(await six.service('analytics').ended(), 1);
    assert.match((await repair('tickets', '--yes')).said, /SERVICE_RUNS/);
    await stopAll();

    const looked = await repair('privacy');
    assert.equal(looked.exitCode, 1);
    assert.match(looked.said, /sequences on the log that the database never gave/);
    const mend = async (name: ServiceName) => {
      const { exitCode, said } = await repair(name, '--yes');
      console.log(`      ${said.trim().replaceAll('\n', '\n      ')}`);
      assert.equal(exitCode, 0, said);
      assert.match((await repair(name)).said, /nothing to repair/);
    };
    await mend('privacy');
    await start('privacy', 'keys');
    for (const name of ['tickets', 'predictions', 'usage', 'analytics'] as const) await mend(name);
    await start('tickets', 'predictions', 'usage', 'analytics');
    await untilCompleted(client, person, withinMs);
    await settled();

    assert.deepEqual(await figures(), before);
    const again = await append([...known.slice(2), ...later.slice(2)]);
    assert.deepEqual(again, new Set([AppendOutcome.APPEND_OUTCOME_DUPLICATE]));
    assert.deepEqual(
      await append(known.slice(0, 2)),
      new Set([AppendOutcome.APPEND_OUTCOME_ERASED]),
    );
    const { violations } = await checkStores(six, { ids: new Map(), accepted: 0, duplicates: 0 });
    assert.deepEqual(violations, []);
  });
});
