import type { LogReader } from '@lethe/platform/event-log/port.ts';

/** A reader that threw once is not used again: the one of Kafka would throw the same for ever. */
export function tellingOfFailure(reader: LogReader, onFailure: () => void): LogReader {
  return {
    poll: async (options) => {
      try {
        return await reader.poll(options);
      } catch (error) {
        onFailure();
        throw error;
      }
    },
    seek: (partition, offset) => reader.seek(partition, offset),
    pause: (partition) => reader.pause(partition),
    resume: (partition) => reader.resume(partition),
    position: (partition) => reader.position(partition),
    close: async () => await reader.close(),
  };
}
