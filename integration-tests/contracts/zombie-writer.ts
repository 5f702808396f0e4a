import { recordNamed } from '@lethe/platform/event-log/contract-support.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { openLog } from './kafka-subject.ts';

/**
 * A process that appends without end: prints each sequence once it is acknowledged, and the reason when it has to stop.
 * Arguments: address, topic.
 */
const [address = '', topic = ''] = process.argv.slice(2);
const log = await openLog(address, [
  { name: topic, partitions: 1, cleanupPolicy: 'compact', retentionMs: -1 },
]);
const writer = await log.openWriter({ topic, partition: 0 });
try {
  for (let sequence = writer.lastSequence + 1n; ; sequence += 1n) {
    await writer.append(sequence, [recordNamed(`zombie ${sequence}`)]);
    console.log(String(sequence));
  }
} catch (error) {
  console.log(error instanceof ServiceError ? error.reason : String(error));
}
await log.close();
