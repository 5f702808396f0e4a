import { setTimeout as delay } from 'node:timers/promises';
import { type EventLogSubject, readToEnd } from '@lethe/platform/event-log/contract-support.ts';
import type { EventLog, LogEntry } from '@lethe/platform/event-log/port.ts';
import { freshTopic, openLog, quickTopics, rollSegments } from './kafka-subject.ts';

/** What the contract of the event log asks for, on the broker or brokers at `address`. */
export async function createKafkaSubject(
  address: string,
  topicSettings = quickTopics,
): Promise<EventLogSubject> {
  const topics = [freshTopic('first', 3), freshTopic('second', 4)] as const;
  const opened: EventLog[] = [];
  const open = async (): Promise<EventLog> => {
    const log = await openLog(address, topics, {}, topicSettings);
    opened.push(log);
    return log;
  };
  const log = await open();
  return {
    log,
    topics: [topics[0].name, topics[1].name],
    openAgain: open,
    keepsOlderOfOneId: false,
    compacted: () => compacted(address, log, topics[0].name),
    destroy: async () => {
      for (const each of opened) await each.close();
    },
  };
}

/** Waits until no partition of the topic has a record with a later tombstone. */
async function compacted(address: string, log: EventLog, topic: string): Promise<void> {
  const partitions = Array.from({ length: log.partitionsOf(topic) }, (_, partition) => ({
    topic,
    partition,
  }));
  for (let attempt = 0; ; attempt += 1) {
    // The segment must be older than segment.ms to roll.
    await delay(300);
    await rollSegments(address, partitions);
    const startAt = async (assigned: readonly unknown[]) => assigned.map(() => 0n);
    const reader = await log.openReader({
      group: `compacted-${attempt}`,
      topics: [topic],
      startAt,
    });
    const entries = await readToEnd(log, reader, [topic]);
    await reader.close();
    if (![...entries.values()].some(hasErasedRecord)) return;
  }
}

function hasErasedRecord(entries: readonly LogEntry[]): boolean {
  return entries.some(
    (entry, at) =>
      entry.kind === 'record' &&
      entries
        .slice(at + 1)
        .some(
          (later) =>
            later.kind === 'tombstone' &&
            Buffer.from(later.eventId).equals(Buffer.from(entry.eventId)),
        ),
  );
}
