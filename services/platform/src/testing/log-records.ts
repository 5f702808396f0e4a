import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { topics } from '@lethe/proto/topics.ts';
import type { EventLog, LogWrite } from '../event-log/port.ts';
import { openSqliteEventLog } from '../event-log/sqlite.ts';
import { systemClock } from '../lifecycle/clock.ts';

/** 16 bytes that stand for a name. */
export function eventIdNamed(name: string): Buffer {
  return createHash('sha256').update(name).digest().subarray(0, 16);
}

/** A record without parts whose event id stands for `name`. */
export function emptyRecord(name: string): LogRecord {
  return {
    header: {
      tenantId: 'acme',
      eventId: eventIdNamed(name),
      type: 'TicketNoted',
      streamToken: eventIdNamed('stream'),
      position: 1n,
      occurredAtMs: 1_700_000_000_000n,
      recordedAtMs: 1_700_000_000_001n,
      schemaVersion: 1,
      causationId: Buffer.alloc(0),
    },
    parts: [],
    clearPayload: Buffer.alloc(0),
    resealed: false,
    traceContext: Buffer.alloc(0),
  };
}

/** As a relay hands it to the log. */
export function recordWrite(record: LogRecord): Extract<LogWrite, { kind: 'record' }> {
  const { header } = record;
  if (header === undefined) throw new RangeError('a record has a header');
  const value = LogRecord.encode(record).finish();
  return { kind: 'record', eventId: header.eventId, value, recordedAtMs: 1_700_000_000_001 };
}

/** An event log in a folder of its own, with the topics of the manifest. */
export interface TestLog {
  readonly log: EventLog;
  /** Closes the log and removes the folder. */
  destroy(): Promise<void>;
}

export function openTestLog(): TestLog {
  const folder = mkdtempSync(join(tmpdir(), `lethe-log-${randomBytes(4).toString('hex')}-`));
  const log = openSqliteEventLog({
    path: join(folder, 'log.sqlite'),
    partitions: new Map(topics.map((topic) => [topic.name, topic.partitions])),
    clock: systemClock,
    logger: pino({ level: 'silent' }),
  });
  return {
    log,
    destroy: async () => {
      await log.close();
      rmSync(folder, { recursive: true });
    },
  };
}
