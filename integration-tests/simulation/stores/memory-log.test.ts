import { eventLogContract } from '@lethe/platform/event-log/contract.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { createMemoryLog, type LogAccess } from './memory-log.ts';

const access: LogAccess = {
  pass: async (_label, run) => run(),
  clock: systemClock,
  appendFate: () => 'answered',
  appendDelayMs: () => 0,
  delivery: () => 'regular',
};

eventLogContract('simulated', async () => {
  const log = createMemoryLog(
    new Map([
      ['first.v1', 3],
      ['second.v1', 3],
    ]),
  );
  return {
    log: log.accessFor(access),
    topics: ['first.v1', 'second.v1'],
    keepsOlderOfOneId: true,
    openAgain: async () => log.accessFor(access),
    compacted: async () => log.compact(),
    destroy: async () => {},
  };
});
