/** The part of the catalogue (reasons.ts) that is about the event log and who reads and writes it. */
export const logReasons = {
  LOG_AHEAD_OF_TABLE: {
    code: 'DATA_LOSS',
    meaning:
      "The log holds sequences that the owner's table never gave: the database lost commits.",
    next: "Restore the database to its newest state, or see the operators' guide on repair.",
  },
  SEQUENCE_GAP: {
    code: 'DATA_LOSS',
    meaning: 'A sequence is neither on the log nor listed as erased by its owner.',
    next: 'Treat it as an incident; the consumer has stopped this partition.',
  },
  RECORD_MALFORMED: {
    code: 'DATA_LOSS',
    meaning:
      'The bytes of a record on the log are no record, or one of another event id than its key.',
    next: 'Treat it as an incident; the consumer has stopped this partition.',
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
