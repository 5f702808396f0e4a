import type { Consumer, ConsumerRunConfig, EachBatchPayload, Kafka } from 'kafkajs';
import type { TopicPartition } from '../event-log/port.ts';

/** A member of a group as the client library has it, which fetches what the test says. */
export interface FakeKafkaMember {
  readonly groupId: string;
  /** Offsets that it was told to go to. */
  readonly sought: string[];
  emit(event: 'GROUP_JOIN' | 'CRASH' | 'FETCH_START' | 'END_BATCH_PROCESS', payload: unknown): void;
  /** A fetch that brought nothing but what applications do not see, up to this offset. */
  skipTo(lastOffset: string): void;
  /** A fetch that ends with this offset. */
  receiveTo(lastOffset: string): Promise<void>;
}

/** A client whose members have this partition; each new one is added to `members`. */
export function fakeKafkaOf(partition: TopicPartition, members: FakeKafkaMember[]): Kafka {
  const consumer: Kafka['consumer'] = ({ groupId }) => {
    const listeners = new Map<string, (event: { readonly payload: unknown }) => void>();
    let eachBatch: ConsumerRunConfig['eachBatch'];
    const member: FakeKafkaMember = {
      groupId,
      sought: [],
      emit: (event, payload) => listeners.get(event)?.({ payload }),
      skipTo: (lastOffset) =>
        member.emit('END_BATCH_PROCESS', { ...partition, batchSize: 0, lastOffset }),
      receiveTo: async (lastOffset) => {
        const batch = { ...partition, messages: [], lastOffset: () => lastOffset };
        await eachBatch?.({ batch, isStale: () => false } as unknown as EachBatchPayload);
      },
    };
    members.push(member);
    const made = {
      events: new Proxy({}, { get: (_, name) => name }),
      on: (event: string, listener: (event: { readonly payload: unknown }) => void) =>
        listeners.set(event, listener),
      connect: async () => {},
      subscribe: async () => {},
      run: async (config: ConsumerRunConfig) => {
        eachBatch = config.eachBatch;
        member.emit('GROUP_JOIN', {
          memberAssignment: { [partition.topic]: [partition.partition] },
        });
      },
      seek: ({ offset }: { readonly offset: string }) => member.sought.push(offset),
      pause: () => {},
      resume: () => {},
      disconnect: async () => {},
    };
    return made as unknown as Consumer;
  };
  return { consumer } as Kafka;
}
