import { eventIdFromBytes } from '@lethe/platform/ids/ids.ts';
import type { SixProcesses } from '../../deploy/local/six-processes.ts';
import { logViolations } from '../harness/stored-laws.ts';
import type { StoredLog } from '../harness/stored-log.ts';
import { type OwnedPartition, owners } from '../harness/stored-tables.ts';
import type { Acknowledged } from './help-desk-sender.ts';
import { readKafkaLog } from './kafka-stored-log.ts';

/** What lies in the stores when everything is done, and every law of them that does not hold, as sentences. */
export interface CheckedStores {
  /** Records by topic, without what tombstones remove. */
  readonly records: ReadonlyMap<string, number>;
  readonly erasedSequences: bigint;
  readonly violations: readonly string[];
}

type Query = SixProcesses['query'];

const eventOwners = ['tickets', 'predictions', 'usage'] as const;

/** The system is idle. */
export async function checkStores(
  { kafka, query }: SixProcesses,
  acknowledged: Acknowledged,
): Promise<CheckedStores> {
  const log = await readKafkaLog(kafka.address);
  const owned = ownedPartitions(query);
  const records = new Map<string, number>();
  for (const { topic } of log.records) records.set(topic, (records.get(topic) ?? 0) + 1);
  const erasedSequences = owned
    .flatMap(({ erased }) => erased)
    .reduce((sum, { first, last }) => sum + last - first + 1n, 0n);
  const violations = [
    ...logViolations(log, owned),
    ...indexViolations(query, log, acknowledged),
    ...leftovers(query),
    ...uncounted(query, owned),
  ];
  return { records, erasedSequences, violations };
}

function ownedPartitions(query: Query): readonly OwnedPartition[] {
  return owners.flatMap((owner) => {
    const ranges = query(
      `select topic, partition, first_sequence, last_sequence from ${owner}.erased_ranges`,
    );
    return query(`select topic, partition, last_sequence from ${owner}.partition_counters`).map(
      ([topic = '', partition = '', last = '']) => ({
        topic,
        partition: Number(partition),
        lastSequence: BigInt(last),
        erased: ranges
          .filter(([ofTopic, ofPartition]) => ofTopic === topic && ofPartition === partition)
          .map(([, , first = '', end = '']) => ({ first: BigInt(first), last: BigInt(end) })),
      }),
    );
  });
}

/** Every acknowledged event stands in the index; what stands there and was not erased lies on the log, there alone. */
function indexViolations(query: Query, log: StoredLog, { ids }: Acknowledged): readonly string[] {
  const onLog = new Map(
    log.records.map(({ topic, partition, sequence, header }) => [
      `${topic}/${partition} ${sequence}`,
      `${header.tenantId} ${eventIdFromBytes(header.eventId)}`,
    ]),
  );
  const indexed = new Set<string>();
  let [absent, foreign] = [0, 0];
  for (const owner of eventOwners) {
    const rows = query(
      `select tenant_id, event_id, partition, sequence, stream_token is null from ${owner}.event_index`,
    );
    for (const [tenant = '', id = '', partition = '', sequence = '', isErased = ''] of rows) {
      const event = `${tenant} ${id}`;
      indexed.add(event);
      const place = `${owner}.v1/${partition} ${sequence}`;
      if (isErased !== 't' && onLog.get(place) !== event) absent += 1;
      onLog.delete(place);
    }
  }
  for (const place of onLog.keys()) if (!place.startsWith('privacy.v1')) foreign += 1;
  const lost = [...ids].flatMap(([tenant, events]) =>
    [...events].filter((id) => !indexed.has(`${tenant} ${id}`)),
  );
  return [
    ...(lost.length === 0 ? [] : [`${lost.length} acknowledged events are in no index`]),
    ...(absent === 0 ? [] : [`${absent} events of the index are not on the log`]),
    ...(foreign === 0 ? [] : [`${foreign} records of the log are in no index`]),
  ];
}

/** Nothing is on its way, parked or pending, and no key of an erased scope is left. */
function leftovers(query: Query): readonly string[] {
  const counts: readonly (readonly [string, string])[] = [
    ...owners.map((owner) => [`rows of the outbox of ${owner}`, `from ${owner}.outbox`] as const),
    ...eventOwners.map(
      (owner) =>
        [
          `events of ${owner} without a sequence`,
          `from ${owner}.event_index where sequence is null`,
        ] as const,
    ),
    ['records parked by analytics', 'from analytics.parked_records'],
    ['records parked by predictions', 'from predictions.parked_records'],
    ['chunks that are not in the ledger', `from analytics.chunk_manifests where state <> 'done'`],
    [
      'keys of erased scopes',
      `from keys.data_keys as held join keys.fences as fenced using (tenant_number, scope)
       where held.incarnation <= fenced.incarnation`,
    ],
  ];
  return counts.flatMap(([what, from]) => {
    const count = query(`select count(*) ${from}`)[0]?.[0] ?? '';
    return count === '0' ? [] : [`${count} ${what} are left`];
  });
}

/** Analytics has committed each partition up to its end. */
function uncounted(query: Query, owned: readonly OwnedPartition[]): readonly string[] {
  const committed = new Map(
    query('select topic, partition, sequence from analytics.checkpoints').map(
      ([topic = '', partition = '', sequence = '']) => [`${topic}/${partition}`, sequence],
    ),
  );
  return owned
    .filter(({ topic }) => topic !== 'privacy.v1')
    .flatMap(({ topic, partition, lastSequence }) => {
      const at = committed.get(`${topic}/${partition}`) ?? '0';
      if (at === `${lastSequence}`) return [];
      return [`${topic}/${partition}: analytics is at ${at} of ${lastSequence}`];
    });
}
