/**
 * The one manifest of the event log: every topic, who alone may append to it, how it is laid out, and who
 * reads it. Deployments create topics from it, consumers find a topic's owner in it, and the consumers of
 * `privacy.v1` are the services that owe a receipt for every erasure.
 */

import type { ServiceName } from './access.ts';

export type { ServiceName } from './access.ts';

/** What the manifest says of a topic. */
export interface Topic {
  /** The topic's name on the log; `v1` is the version of its record format. */
  readonly name: string;
  /** The one service that appends to it and answers `Missing` for it. */
  readonly owner: ServiceName;
  /**
   * How many partitions it is created with. A stream keeps the partition of its first event, so the number
   * can be raised later without moving anything; it is never lowered.
   */
  readonly partitions: number;
  /**
   * `compact`: a tombstone record removes the record of its event id, which is how an erasure reaches the
   * log. `delete`: nothing is ever compacted away.
   */
  readonly cleanupPolicy: 'compact' | 'delete';
  /** How long records stay, in milliseconds by their recorded_at. -1: for ever. */
  readonly retentionMs: number;
  /** The services that read it, each with checkpoints of its own. */
  readonly consumers: readonly ServiceName[];
}

/** All topics. */
export const topics = [
  {
    name: 'tickets.v1',
    owner: 'tickets',
    partitions: 6,
    cleanupPolicy: 'compact',
    retentionMs: -1,
    consumers: ['predictions', 'analytics'],
  },
  {
    name: 'predictions.v1',
    owner: 'predictions',
    partitions: 6,
    cleanupPolicy: 'compact',
    retentionMs: -1,
    consumers: ['analytics'],
  },
  {
    name: 'usage.v1',
    owner: 'usage',
    partitions: 6,
    cleanupPolicy: 'compact',
    retentionMs: -1,
    consumers: ['analytics'],
  },
  {
    // One partition: fences, restrictions and settings hold in the order in which they were decided. Kept
    // for ever, as a service that is new or restored must learn of every fence before it does anything.
    name: 'privacy.v1',
    owner: 'privacy',
    partitions: 1,
    cleanupPolicy: 'delete',
    retentionMs: -1,
    consumers: ['tickets', 'predictions', 'usage', 'analytics', 'keys'],
  },
] as const satisfies readonly Topic[];

/** The name of a topic of the manifest. */
export type TopicName = (typeof topics)[number]['name'];

const topicsByName: ReadonlyMap<string, Topic> = new Map(
  topics.map((topic) => [topic.name, topic]),
);

/** What the manifest says of a topic. */
export function topicNamed(name: TopicName): Topic {
  const topic = topicsByName.get(name);
  if (topic === undefined) throw new RangeError(`no topic ${name} in proto/topics.ts`);
  return topic;
}

/**
 * The services that read a topic. Those of `privacy.v1` are written into each `ScopesErased` as the services
 * obliged, so that a later change of the manifest changes no erasure that is under way.
 */
export function consumersOf(name: TopicName): readonly ServiceName[] {
  return topicNamed(name).consumers;
}

/** The topics that a service reads, in the order of the manifest. */
export function topicsReadBy(service: ServiceName): readonly TopicName[] {
  return topics.filter((topic: Topic) => topic.consumers.includes(service)).map(({ name }) => name);
}
