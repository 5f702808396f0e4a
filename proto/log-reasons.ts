/** The part of the catalogue (reasons.ts) that is about the event log and who reads and writes it. */
export const logReasons = {
  LOG_AHEAD_OF_TABLE: {
    code: 'DATA_LOSS',
    meaning:
      "The log holds sequences that the owner's table never gave: the database lost commits.",
    next: 'Restore the database to its newest state, or stop the server and run `lethe repair`, or the service with --repair; see docs/operators/repair.md.',
  },
  SEQUENCE_GAP: {
    code: 'DATA_LOSS',
    meaning: 'A sequence is neither on the log nor listed as erased by its owner.',
    next: 'Treat it as an incident: the partition has stopped. A data folder is mended by `lethe repair`; see docs/operators/repair.md.',
  },
  LOG_BEHIND_CHECKPOINT: {
    code: 'DATA_LOSS',
    meaning:
      'The log ends before what the service has read of it: it is an older copy, or one with other offsets.',
    next: 'Treat it as an incident and let nothing append: a data folder is mended by `lethe repair`; else see docs/operators/runbooks/sequence-gap.md.',
  },
  SERVICE_RUNS: {
    code: 'FAILED_PRECONDITION',
    meaning: 'A process of the service works on the stores that are to be repaired.',
    next: 'Stop every process of the service, then run the repair again.',
  },
  RECORD_MALFORMED: {
    code: 'DATA_LOSS',
    meaning:
      'The bytes of a record on the log are no record, or one of another event id than its key.',
    next: 'Treat it as an incident; the record is parked, or its partition has stopped where nothing may be parked.',
  },
  RECORD_KEY_WRONG: {
    code: 'DATA_LOSS',
    meaning:
      'A record lies on the log under a key that is not its own, so an erasure could never reach it there.',
    next: 'Treat it as an incident: something other than the relay of its owner wrote it. See docs/operators/parking.md.',
  },
  RECORD_NEWER: {
    code: 'FAILED_PRECONDITION',
    meaning: 'A record has a newer schema version than this version of the service knows.',
    next: 'Upgrade the service, then `lethe parked replay`.',
  },
  STREAM_PARKED: {
    code: 'FAILED_PRECONDITION',
    meaning: 'An earlier event of the same stream is parked; this one waits behind it, in order.',
    next: 'See what holds the stream: `lethe parked show`.',
  },
  POISON_LIMIT: {
    code: 'FAILED_PRECONDITION',
    meaning:
      'Too many events of a partition cannot be applied: 100 in a row, or more than 1 % of 10,000.',
    next: 'Find what they have in common (`lethe parked list`), mend it, restart the service; see docs/operators/parking.md.',
  },
  PARKED_STREAM_UNKNOWN: {
    code: 'NOT_FOUND',
    meaning: 'The service has parked no such stream, or it was replayed or erased meanwhile.',
    next: 'List what is parked: `lethe parked list`.',
  },
  SEQUENCE_CONFLICT: {
    code: 'ABORTED',
    meaning: 'Another writer has appended to this partition meanwhile.',
    next: 'Nothing; the relay opens its writer anew.',
  },
  CHECKPOINT_MOVED: {
    code: 'ABORTED',
    meaning: 'Another owner of the partition was faster.',
    next: 'Nothing; the consumer reloads its checkpoint.',
  },
  LOG_ACCESS_DENIED: {
    code: 'PERMISSION_DENIED',
    meaning: "The event log refuses this service's principal: its credentials or its ACLs.",
    next: 'Compare principal and ACLs with docs/operators/kafka.md, then restart the service.',
  },
  LOG_CODEC_UNSUPPORTED: {
    code: 'FAILED_PRECONDITION',
    meaning:
      'A batch on the event log is compressed with a codec that the reader lacks (snappy, lz4, zstd).',
    next: 'Set compression.type of the topic to uncompressed and write the foreign batch again, see docs/operators/kafka.md.',
  },
} as const;
