import { serviceNames } from '../../proto/access.ts';
import { buckets, label, observations, series } from './catalogue.ts';
import { dashboard, type Dashboard, panel, quantiles, rateOf } from './panels.ts';

const topic = label('messaging.destination.name');
const consumer = label('lethe.consumer');
const method = label('rpc.method');
const reason = label('error.type');
const per = (...names: readonly string[]) => names.map((name) => `{{${name}}}`).join(' ');

/** From the call to the ledger's cell, in the order in which an event passes. */
const pathOfAnEvent = dashboard('lethe-path', 'Lethe: path of an event', [
  panel('Events answered', 'ops', [
    [
      `sum by (${topic}, ${label('lethe.append.outcome')}) (rate(${series('lethe.append.events')}[5m]))`,
      per(topic, label('lethe.append.outcome')),
    ],
  ]),
  panel('Append: leases to commit', 's', quantiles(buckets('lethe.append.duration'), [topic])),
  panel('Leases at hand', 'percentunit', [
    [
      `sum by (job) (rate(${series('lethe.lease.lookups')}{${label('lethe.lease.result')}="hit"}[5m])) / sum by (job) (rate(${series('lethe.lease.lookups')}[5m]))`,
      per('job'),
    ],
  ]),
  panel('Rows that wait for the log', 'short', [
    [`max by (${topic}) (${series('lethe.outbox.pending')})`, per(topic)],
  ]),
  panel('Bytes that wait for the log', 'bytes', [
    [`max by (${topic}) (${series('lethe.outbox.pending.size')})`, per(topic)],
  ]),
  panel('Relay: age of what waits', 's', [
    [`max by (${topic}) (${series('lethe.relay.lag')})`, per(topic)],
  ]),
  panel('Recorded to log', 's', quantiles(buckets('lethe.relay.delay'), [topic])),
  panel('Consumers: how late', 's', [
    [`max by (${consumer}, ${topic}) (${series('lethe.consumer.lag')})`, per(consumer, topic)],
  ]),
  panel('Recorded to effect', 's', quantiles(buckets('lethe.consumer.delay'), [consumer, topic])),
  panel('Records applied', 'ops', [
    [
      `sum by (${consumer}, ${topic}) (rate(${series('lethe.consumer.records')}[5m]))`,
      per(consumer, topic),
    ],
  ]),
  panel('Projection: a chunk', 's', quantiles(buckets('lethe.projection.chunk.duration'), [])),
  panel('ClickHouse: an insert', 's', quantiles(buckets('lethe.ledger.insert.duration'), [])),
  panel('Ledger: complete up to, ago', 's', [
    [`min(${series('lethe.ledger.freshness')})`, 'freshness'],
  ]),
  panel('Ledger: coverage', 'percentunit', [
    [`min by (${topic}) (${series('lethe.ledger.coverage')})`, per(topic)],
    [`max(${series('lethe.ledger.coverage.gap.age')})`, 'oldest chunk not inserted, s'],
  ]),
  panel('Parked streams', 'short', [
    [`max by (job, ${topic}) (${series('lethe.parking.streams')})`, per('job', topic)],
  ]),
]);

/** Whether erasures keep their bounds, and what they lean on. */
const privacyClocks = dashboard('lethe-privacy', 'Lethe: privacy clocks', [
  panel('Open erasures', 'short', [[`max(${series('lethe.erasure.open')})`, 'open']]),
  panel('Oldest open erasure', 's', [[`max(${series('lethe.erasure.open.age')})`, 'age']]),
  panel('Requested and keys not destroyed', 's', [
    [`max(${series('lethe.erasure.unfenced.age')})`, 'age'],
  ]),
  panel('Fenced and readable yet (bound 60 s)', 's', [
    [`max(${series('lethe.erasure.readable.age')})`, 'age'],
  ]),
  panel(
    'Unreadable: first clock',
    's',
    quantiles(buckets('lethe.erasure.unreadable.duration'), []),
  ),
  panel('Purged: second clock', 's', quantiles(buckets('lethe.erasure.purged.duration'), [])),
  panel('Completed with an incomplete ledger', 'short', [
    [`sum(increase(${series('lethe.erasure.ledger.incomplete')}[1d]))`, 'in a day'],
  ]),
  panel('Compaction overdue', 's', [
    [`max by (${topic}) (${series('lethe.log.compaction.overdue')})`, per(topic)],
  ]),
  panel('Retention less lag', 's', [
    [
      `min by (${consumer}, ${topic}) (${series('lethe.log.retention.margin')})`,
      per(consumer, topic),
    ],
  ]),
  panel('KMS: calls', 'ops', [
    [
      `sum by (${label('lethe.kms.operation')}, ${reason}) (rate(${observations('lethe.kms.call.duration')}[5m]))`,
      per(label('lethe.kms.operation'), reason),
    ],
  ]),
  panel(
    'KMS: latency',
    's',
    quantiles(buckets('lethe.kms.call.duration'), [label('lethe.kms.operation')]),
  ),
  panel('KMS away', 's', [[`max(${series('lethe.kms.away')})`, 'away']]),
]);

/** One service at a time. */
const perService = dashboard(
  'lethe-service',
  'Lethe: a service',
  [
    panel('Ready processes', 'short', [[`sum(${series('lethe.ready')}{job=~"$job"})`, 'ready']]),
    panel('Problems', 'short', [
      [
        `max by (job, ${label('lethe.component')}, ${reason}) (${series('lethe.problems')}{job=~"$job"})`,
        per('job', label('lethe.component'), reason),
      ],
    ]),
    panel('Calls', 'reqps', [
      [rateOf(observations('rpc.server.call.duration'), [method], '{job=~"$job"}'), per(method)],
    ]),
    panel('Failures', 'reqps', [
      [
        rateOf(
          observations('rpc.server.call.duration'),
          [method, reason],
          `{job=~"$job",${label('rpc.response.status_code')}!="OK"}`,
        ),
        per(method, reason),
      ],
    ]),
    panel(
      'Latency',
      's',
      quantiles(buckets('rpc.server.call.duration'), [method], '{job=~"$job"}'),
    ),
    panel(
      'Calls to other services: latency',
      's',
      quantiles(
        buckets('rpc.client.call.duration'),
        [label('lethe.peer'), method],
        '{job=~"$job"}',
      ),
    ),
    panel('Memory', 'bytes', [
      [`${series('process.memory.usage')}{job=~"$job"}`, per('job', 'instance')],
    ]),
    panel('Event loop delay, p99', 's', [
      [`${series('nodejs.eventloop.delay.p99')}{job=~"$job"}`, per('job', 'instance')],
    ]),
    panel('Certificates end in', 's', [
      [
        `min by (job, ${label('lethe.certificate.use')}) (${series('lethe.tls.certificate.lifetime')}{job=~"$job"})`,
        per('job', label('lethe.certificate.use')),
      ],
    ]),
  ],
  { name: 'job', values: serviceNames.map((service) => `lethe/${service}`) },
);

/** By the name of their file. */
export const dashboards: ReadonlyMap<string, Dashboard> = new Map([
  ['path-of-an-event', pathOfAnEvent],
  ['privacy-clocks', privacyClocks],
  ['service', perService],
]);
