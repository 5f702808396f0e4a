import type { EventLog } from '@lethe/platform/event-log/port.ts';
import { type ServiceName, serviceNames } from '@lethe/proto/access.ts';
import { type Topic, topics } from '@lethe/proto/topics.ts';

/**
 * One event log for services that share a process, where each has a login of its own: what a service writes or reads
 * goes by its own log. Only where a topic ends is asked as its owner, as the port does not say who asks.
 */
export async function openByPrincipal(
  openAs: (service: ServiceName, known: readonly Topic[]) => Promise<EventLog>,
): Promise<EventLog> {
  const logs = new Map<ServiceName, EventLog>();
  for (const service of serviceNames) {
    const known = topics.filter(
      (topic: Topic) => topic.owner === service || topic.consumers.includes(service),
    );
    logs.set(service, await openAs(service, known));
  }
  const logOf = (service: ServiceName): EventLog => {
    const log = logs.get(service);
    if (log === undefined) throw new RangeError(`no log of ${service}`);
    return log;
  };
  const ownersLog = (name: string): EventLog => {
    const topic = topics.find((each) => each.name === name);
    if (topic === undefined) throw new RangeError(`no topic ${name}`);
    return logOf(topic.owner);
  };
  const readersLog = (group: string): EventLog => {
    const reader = serviceNames.find((name) => group === name || group.startsWith(`${name}-`));
    if (reader === undefined) throw new RangeError(`${group} is no group of a service`);
    return logOf(reader);
  };
  return {
    openWriter: (partition) => ownersLog(partition.topic).openWriter(partition),
    openReader: (options) => readersLog(options.group).openReader(options),
    partitionsOf: (topic) => ownersLog(topic).partitionsOf(topic),
    endOffsets: (topic) => ownersLog(topic).endOffsets(topic),
    close: async () => {
      for (const log of logs.values()) await log.close();
    },
  };
}
