import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { type GeneratedTenant, generateHelpDesk } from '@lethe/cli/generator/help-desk.ts';
import { until } from '@lethe/platform/testing/until.ts';
import { TicketServiceService } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { whyNoKafka } from '../../deploy/local/kafka.ts';
import { findPostgresBinaries } from '../../deploy/local/postgres.ts';
import { type SixProcesses, startSixProcesses } from '../../deploy/local/six-processes.ts';
import { checkStores } from '../faults/check-stores.ts';
import { openPatientClient, type PatientClient } from '../faults/client.ts';
import { requestErasure, untilCompleted, untilUnreadable } from '../faults/erase-in-between.ts';
import { createGate } from '../faults/gate.ts';
import { createHelpDeskSender, type HelpDeskSender } from '../faults/help-desk-sender.ts';
import { readKafkaLog } from '../faults/kafka-stored-log.ts';
import { untilSettled } from '../faults/settle.ts';
import { supervise, type Supervised } from '../faults/supervised.ts';
import { filesOf } from './kafka-subject.ts';
import { vaultBinary } from './vault-binary.ts';

/** Production has six hours; docs/operators/kafka.md says what follows from them. */
const compactionLagMs = 5_000;
/** Seconds on an idle machine. */
const withinMs = 600_000;
const eventTopics = ['tickets.v1', 'predictions.v1', 'usage.v1'] as const;

/** Two persons of the desk who have tickets with predictions and use the product. */
function personsIn({ tickets, usage }: GeneratedTenant): readonly [string, string] {
  const users = new Set(
    usage.map(({ event }) => {
      const what = event?.event;
      return what === undefined ? '' : (what.value.user?.naturalId ?? '');
    }),
  );
  const withAll = tickets
    .filter(({ predictions }) => predictions.length > 0)
    .map(({ cast }) => cast.requester.profile.naturalId)
    .filter((naturalId) => users.has(naturalId));
  const [first, second] = new Set(withAll);
  assert.ok(first !== undefined && second !== undefined, 'the desk has two such persons');
  return [first, second];
}

describe('erasures and zombies of six processes', function () {
  this.timeout(1_800_000);
  let six: SixProcesses;
  let client: PatientClient;
  let supervised: readonly Supervised[];
  let tenant: GeneratedTenant;
  let sender: HelpDeskSender;

  before(async function () {
    const binary = await vaultBinary(process.env['CI'] === 'true');
    const why = binary === undefined ? 'no Vault' : whyNoKafka();
    if (binary === undefined || why !== undefined || findPostgresBinaries() === undefined) {
      console.warn(`SKIPPED: erasures of six processes: ${why ?? 'no PostgreSQL'}`);
      assert.notEqual(process.env['CI'], 'true');
      this.skip();
    }
    const env = { LETHE_KAFKA_MAX_COMPACTION_LAG_MS: String(compactionLagMs) };
    six = await startSixProcesses({ vaultBinary: binary, env });
    supervised = [...six.services.values()].map(supervise);
    client = openPatientClient(six.address, six.dataFolder);
    const settings = { seed: 'erasures', tenants: 1, days: 20, events: 600 };
    const [made] = [...generateHelpDesk({ ...settings, anchorMs: Date.now() })];
    assert.ok(made);
    tenant = made;
    sender = createHelpDeskSender(client, { gate: createGate() });
    await sender.send(tenant);
    await untilSettled(six, supervised);
  });
  after(async () => {
    client?.close();
    for (const each of supervised ?? []) each.leave();
    await six?.stop();
  });

  const ticketsOf = async (naturalId: string) => {
    const own = tenant.tickets.filter(({ cast }) => cast.requester.profile.naturalId === naturalId);
    const asked = own.map(async ({ cast }) => {
      const { ticket } = await client.call(
        TicketServiceService.getTicket,
        { ticket: { $case: 'ticketId', value: cast.ticketId } },
        { tenant: tenant.profile.tenantId, roles: ['reader'] },
      );
      assert.ok(ticket);
      return ticket;
    });
    return await Promise.all(asked);
  };
  const bytesOnDisk = () =>
    eventTopics.map((topic) => Buffer.concat([...filesOf(six.kafka.folder, topic).values()]));

  it('take the ciphertext out of the files of topics that are idle otherwise', async () => {
    const [naturalId] = personsIn(tenant);
    const tickets = await ticketsOf(naturalId);
    const erasedStreams = new Set([
      ...tickets.map(({ ticketToken }) => ticketToken),
      ...tickets.map(({ requesterToken }) => requesterToken),
    ]);
    const { records } = await readKafkaLog(six.kafka.address, { keepsBoxes: true });
    const boxesIn = (isErased: boolean) =>
      eventTopics.map((topic) =>
        records
          .filter((record) => record.topic === topic)
          .filter(
            ({ header }) =>
              erasedStreams.has(Buffer.from(header.streamToken).toString('hex')) === isErased,
          )
          .flatMap(({ boxes }) => boxes)
          .filter(({ length }) => length > 0),
      );
    const [erased, kept] = [boxesIn(true), boxesIn(false)];
    const left = (boxes: readonly (readonly Buffer[])[]) => {
      const disk = bytesOnDisk();
      return boxes.map((some, topic) => some.filter((box) => disk[topic]?.includes(box)).length);
    };
    const counts = erased.map(({ length }) => length);
    assert.ok(counts.every((count) => count > 0));
    assert.deepEqual(left(erased), counts, 'the search finds what is there');
    const beganMs = performance.now();
    const since = () => `${((performance.now() - beganMs) / 1_000).toFixed(1)} s`;
    const person = await requestErasure(client, 'gone', tenant.profile.tenantId, naturalId);
    await untilCompleted(client, person, withinMs);
    const completedAfter = since();
    await until(() => left(erased).every((count) => count === 0), withinMs);
    console.log(
      `      ${counts.join(' + ')} boxes left Kafka's files ${since()} after the request (completed after ${completedAfter}), with max.compaction.lag.ms = segment.ms = ${compactionLagMs}`,
    );
    assert.deepEqual(
      left(kept),
      kept.map(({ length }) => length),
    );
  });

  it('make a person unreadable while Kafka is down', async () => {
    const [, naturalId] = personsIn(tenant);
    const [ticket] = await ticketsOf(naturalId);
    assert.ok(ticket);
    await six.kafka.kill();
    const beganMs = performance.now();
    const person = await requestErasure(client, 'down', tenant.profile.tenantId, naturalId);
    await untilUnreadable(client, person, withinMs);
    console.log(`      unreadable ${Math.round(performance.now() - beganMs)} ms after the request`);
    await assert.rejects(ticketsOf(naturalId), /erased/i);
    await six.kafka.startAgain();
    await untilCompleted(client, person, withinMs);
  });

  it('lose nothing to a relay that was replaced while it hung, and goes on', async () => {
    const first = six.service('tickets');
    const pid = first.pid();
    assert.ok(pid !== undefined);
    const more = { seed: 'zombies', tenants: 2, days: 20, events: 1_500 };
    const [, other] = [...generateHelpDesk({ ...more, anchorMs: Date.now() })];
    assert.ok(other);
    const sending = sender.send(other);
    // In the middle of its work.
    await until(
      () => (sender.acknowledged().ids.get(other.profile.tenantId)?.size ?? 0) > 100,
      withinMs,
    );
    process.kill(pid, 'SIGSTOP');
    // As a server does with a client that has fallen silent: its locks go to whoever asks.
    six.sql(`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'tickets'`);
    const second = await six.anotherOf('tickets');
    second.start();
    await second.untilServing(withinMs);
    six.routeTo(second);
    // Streams that hang with it are opened again, at the second.
    six.cutCallsTo(first);
    await sending;
    await untilSettled(
      six,
      supervised.filter(({ name }) => name !== 'tickets'),
    );
    const seen = await readKafkaLog(six.kafka.address);
    process.kill(pid, 'SIGCONT');
    await until(async () => (await first.health())?.phase === 'serving', withinMs);
    // What it had begun it tries to finish.
    await delay(10_000);
    assert.deepEqual(await readKafkaLog(six.kafka.address), seen);
    six.routeTo(first);
    assert.equal(await second.end('SIGTERM'), 0);
    await untilSettled(six, supervised);
    const { violations } = await checkStores(six, sender.acknowledged());
    assert.deepEqual(violations, []);
  });
});
