import type { Evidence } from './evidence.ts';
import { must } from './law-broken.ts';

const complete = 'every erasure that was answered is completed and certified';
const healthy = 'nothing has stopped';
const counted = 'receipts say what was removed';

const obliged = ['analytics', 'keys', 'predictions', 'tickets', 'usage'];

/** Erasures against their receipts, and the health of what runs. */
export function checkCompleted(evidence: Evidence): void {
  const { told, rows, observed, running } = evidence;
  for (const [name, { service }] of running) {
    must(service.problem() === undefined, healthy, () => `${name}: ${service.problem()}`);
  }
  for (const { erasureId, isAccepted } of told.erasures) {
    if (!isAccepted) continue;
    const [row] = rows(
      `select is_open, certificate_jws is not null as certified from privacy.erasures
        where erasure_id = $1`,
      [erasureId],
    );
    const isDone = row?.['is_open'] === false && row['certified'] === true;
    must(isDone, complete, () => `${erasureId} is not certified`);
    const receipts = rows(
      `select service from privacy.erasure_receipts where erasure_id = $1 order by service`,
      [erasureId],
    ).map((each) => each['service']);
    must(receipts.join() === obliged.join(), complete, () => `${erasureId}: ${receipts.join()}`);
    must(observed.erasures.has(erasureId), complete, () => `${erasureId} is not on the log`);
    const told5 = observed.records.filter(
      ({ event }) => event?.$case === 'erasureCompleted' && event.value.erasureId === erasureId,
    );
    must(told5.length === 1, complete, () => `${erasureId} was completed ${told5.length} times`);
  }
  checkTombstones(evidence);
}

function checkTombstones({ log, rows }: Evidence): void {
  const tombstoned = new Set(
    log.history.flatMap(({ topic, entry }) =>
      topic === 'tickets.v1' && entry.kind === 'tombstone'
        ? [Buffer.from(entry.eventId).toString('hex')]
        : [],
    ),
  );
  const [row] = rows(
    `select coalesce(sum(records), 0)::int8 as records from tickets.erasure_jobs`,
    [],
  );
  must(row?.['records'] === BigInt(tombstoned.size), counted, () => {
    return `receipts say ${String(row?.['records'])} records, the log has ${tombstoned.size} tombstones`;
  });
}
