/** The part of the catalogue (reasons.ts) that is about stores which have no room, are damaged or do not fit together. */
export const storeReasons = {
  STORE_FULL: {
    code: 'RESOURCE_EXHAUSTED',
    meaning: 'The disk of a store is full; nothing of the call was stored.',
    next: 'Make room on the disk; what was acknowledged is kept. A server that is still running goes on by itself, one that ended goes on when it is started.',
  },
  STORE_ACCESS_DENIED: {
    code: 'UNAVAILABLE',
    meaning:
      'A store refuses a service: its login, a right that it needs, or TLS with it does not come about.',
    next: 'Correct the setting or the right that the message names, then restart the service, which reads its settings when it starts; callers may repeat the call.',
  },
  STORE_DAMAGED: {
    code: 'DATA_LOSS',
    meaning: 'A file of the data folder cannot be read: it was cut off or overwritten.',
    next: 'Stop the server and run `lethe repair --dry-run`: it says what can be mended and how. See docs/operators/repair.md.',
  },
  LEDGER_AHEAD_OF_TABLE: {
    code: 'DATA_LOSS',
    meaning:
      'The ledger holds rows that no chunk of the database accounts for: the database lost commits.',
    next: 'Stop the server and run `lethe repair`; counting on would count events twice. See docs/operators/repair.md.',
  },
  LEDGER_BEHIND_TABLE: {
    code: 'DATA_LOSS',
    meaning:
      'The ledger lacks chunks that the database knows to be in it: it lost them, or is older.',
    next: 'Stop the server and run `lethe repair`: the database holds their rows. See docs/operators/repair.md.',
  },
  SYSTEM_UNUSABLE: {
    code: 'FAILED_PRECONDITION',
    meaning:
      'A system that the server was given (Kafka, PostgreSQL, Vault, AWS KMS, ClickHouse) does not answer, refuses its login, or is one that Lethe cannot run on.',
    next: 'Do what the message says, and start again; docs/operators/standalone-on-real-systems.md has the settings of each system.',
  },
  STORES_ELSEWHERE: {
    code: 'FAILED_PRECONDITION',
    meaning:
      'The data folder was used with other stores: one that lay in the folder is now to lie on a real system, or the other way round.',
    next: 'Start with the same systems as before, or choose another folder.',
  },
} as const;
