import type { EventLog, LogBatch, LogReader, PollOptions } from '../event-log/port.ts';

/** What a test does around each poll of a real log: hand out other batches, seek, or throw. */
export type AroundPoll = (
  poll: (options: PollOptions) => Promise<readonly LogBatch[]>,
  options: PollOptions,
  reader: LogReader,
) => Promise<readonly LogBatch[]>;

/** A real log whose readers misbehave as `aroundPoll` says. */
export function wrapLog(log: EventLog, aroundPoll: AroundPoll): EventLog {
  return {
    openWriter: (partition) => log.openWriter(partition),
    partitionsOf: (topic) => log.partitionsOf(topic),
    endOffsets: (topic) => log.endOffsets(topic),
    close: () => log.close(),
    openReader: async (options) => {
      const reader = await log.openReader(options);
      return {
        poll: (pollOptions) => aroundPoll((inner) => reader.poll(inner), pollOptions, reader),
        seek: (partition, offset) => reader.seek(partition, offset),
        pause: (partition) => reader.pause(partition),
        resume: (partition) => reader.resume(partition),
        position: (partition) => reader.position(partition),
        close: () => reader.close(),
      };
    },
  };
}
