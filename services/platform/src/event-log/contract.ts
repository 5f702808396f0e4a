import { readingContract } from './contract-reading.ts';
import type { ContractContext, EventLogSubject } from './contract-support.ts';
import { tombstoneContract, writingContract } from './contract-writing.ts';
import type { EventLog, TopicPartition } from './port.ts';

/** What every event log does; run against each adapter, also on the real system. */
export function eventLogContract(name: string, create: () => Promise<EventLogSubject>): void {
  describe(`event log contract: ${name}`, () => {
    let subject: EventLogSubject;
    let log: EventLog;
    let first: TopicPartition;
    beforeEach(async () => {
      subject = await create();
      log = subject.log;
      first = { topic: subject.topics[0], partition: 0 };
    });
    afterEach(async () => {
      await subject.destroy();
    });
    const context: ContractContext = {
      subject: () => subject,
      log: () => log,
      first: () => first,
      readerFromStart: (topics = subject.topics, group = 'contract') =>
        log.openReader({ group, topics, startAt: async (assigned) => assigned.map(() => 0n) }),
    };
    describe('writing', () => writingContract(context));
    describe('tombstones and ticks', () => tombstoneContract(context));
    describe('reading', () => readingContract(context));
  });
}
