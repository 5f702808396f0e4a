import type { KafkaMessage, Message } from 'kafkajs';
import { ServiceError } from '../errors/service-error.ts';
import type { LogEntry, LogWrite, TopicPartition } from './port.ts';

/** Header of a record: its sequence, in decimal digits. */
const sequenceHeader = 'sequence';

/** Header of a tick; it has no sequence of its own. */
const lastSequenceHeader = 'last-sequence';

/**
 * Every tick of a partition has this key, so compaction keeps the newest: it says where the sequences stand when every
 * record below it was erased. Not 16 bytes, so it is no event id.
 */
const tickKey = Buffer.from('tick');

const eventIdBytes = 16;

/** Encodes writes as messages of one partition; records get `firstSequence`, `firstSequence + 1`, … */
export function encodeWrites(
  partition: number,
  firstSequence: bigint,
  writes: readonly LogWrite[],
  nowMs: number,
): Message[] {
  let sequence = firstSequence - 1n;
  return writes.map((write): Message => {
    if (write.kind === 'record') {
      sequence += 1n;
      // The log's time is recorded_at, never occurred_at: a topic with retention drops what is older at once.
      const timestamp = String(write.recordedAtMs);
      const headers = { [sequenceHeader]: String(sequence) };
      return {
        partition,
        timestamp,
        headers,
        key: bytesOf(write.eventId),
        value: bytesOf(write.value),
      };
    }
    const timestamp = String(nowMs);
    if (write.kind === 'tombstone') {
      return { partition, timestamp, key: bytesOf(write.eventId), value: null };
    }
    const headers = { [lastSequenceHeader]: String(write.lastSequence) };
    // A value, as a null would make it a tombstone of its key.
    return { partition, timestamp, headers, key: tickKey, value: Buffer.from('tick') };
  });
}

/** Throws RECORD_MALFORMED for a message that none of this project's writers made. */
export function decodeMessage(from: TopicPartition, message: KafkaMessage): LogEntry {
  const { key: messageKey, value } = message;
  const offset = BigInt(message.offset);
  if (messageKey !== null && messageKey.length === eventIdBytes) {
    if (value === null) return { offset, kind: 'tombstone', eventId: messageKey };
    const sequence = numberIn(message, sequenceHeader);
    if (sequence !== undefined) {
      const recordedAtMs = Number(message.timestamp);
      return { offset, kind: 'record', sequence, eventId: messageKey, value, recordedAtMs };
    }
  }
  const lastSequence = numberIn(message, lastSequenceHeader);
  if (messageKey?.equals(tickKey) === true && lastSequence !== undefined) {
    return { offset, kind: 'tick', lastSequence };
  }
  throw new ServiceError(
    'RECORD_MALFORMED',
    `${from.topic}/${from.partition} offset ${offset} holds a message that is no record, tombstone or tick`,
  );
}

function numberIn({ headers }: KafkaMessage, name: string): bigint | undefined {
  const header = headers?.[name];
  if (header === undefined || Array.isArray(header)) return undefined;
  const digits = header.toString();
  return /^\d{1,19}$/.test(digits) ? BigInt(digits) : undefined;
}

function bytesOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** What an entry weighs in a buffer, about. */
export function sizeOf(entry: LogEntry): number {
  return entry.kind === 'record' ? entry.value.length + 100 : 100;
}
