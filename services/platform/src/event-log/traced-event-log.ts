import { topics } from '@lethe/proto/topics.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { relayMetrics } from '../outbox/metrics.ts';
import type { Telemetry } from '../telemetry/port.ts';
import { traceContextOfRecord } from '../telemetry/trace-context.ts';
import type { EventLog, LogSystem, LogWrite, PartitionWriter, TopicPartition } from './port.ts';

/** The log with what is written to it measured, each batch in a span of the traces that its records carry. */
export function tracedEventLog(eventLog: EventLog, telemetry: Telemetry, clock: Clock): EventLog {
  if (!telemetry.isOn) return eventLog;
  return {
    system: eventLog.system,
    compactionLagMs: eventLog.compactionLagMs,
    openWriter: async (partition) =>
      tracedWriter(
        partition,
        await eventLog.openWriter(partition),
        telemetry,
        clock,
        eventLog.system,
      ),
    openReader: async (options) => await eventLog.openReader(options),
    partitionsOf: (topic) => eventLog.partitionsOf(topic),
    endOffsets: async (topic) => await eventLog.endOffsets(topic),
    retentionMs: async (topic) => await eventLog.retentionMs?.(topic),
    close: async () => await eventLog.close(),
  };
}

function tracedWriter(
  { topic: name, partition }: TopicPartition,
  writer: PartitionWriter,
  telemetry: Telemetry,
  clock: Clock,
  system: LogSystem | undefined,
): PartitionWriter {
  const meter = telemetry.meter(relayMetrics);
  const topic = topics.find((each) => each.name === name)?.name;
  const destination = { 'messaging.destination.name': topic };
  return {
    lastSequence: writer.lastSequence,
    append: async (firstSequence, writes) => {
      const span = {
        name: 'relay publish',
        kind: 'producer',
        batchOf: tracesOf(writes),
        attributes: {
          ...destination,
          'messaging.system': system,
          'messaging.operation.name': 'send',
          'messaging.operation.type': 'send',
          'messaging.destination.partition.id': String(partition),
          'messaging.batch.message_count': writes.length,
          'lethe.sequence.first': Number(firstSequence),
        },
      } as const;
      await telemetry.inSpan(span, async () => await writer.append(firstSequence, writes));
      const first = writes.find((write) => write.kind === 'record');
      if (first === undefined) return;
      const delayMs = Math.max(0, clock.nowMs() - first.recordedAtMs);
      meter.record('lethe.relay.delay', delayMs / 1_000, destination);
    },
    close: async () => await writer.close(),
  };
}

function tracesOf(writes: readonly LogWrite[]) {
  return writes.flatMap((write) =>
    write.kind === 'record' ? (traceContextOfRecord(write.value) ?? []) : [],
  );
}
