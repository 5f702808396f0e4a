import type { Answer } from '../database/wire.ts';
import type { StatementCall, StatementVerdict } from '../database/simulated-database.ts';
import type { PlantedBug, World } from '../world/world.ts';

/** A bug that somebody might make, and a sentence that says which. */
export interface Planted {
  readonly name: string;
  readonly what: string;
  /** Made anew for every run. */
  readonly plant: () => PlantedBug;
}

const nothing: Answer = { rows: [], affected: 0, command: 'SELECT' };

type Verdict = (call: StatementCall) => StatementVerdict;

/** The statements of a schema whose text has this piece get this verdict. */
function on(schema: string, piece: RegExp, verdict: Verdict): PlantedBug {
  return {
    statement: (call) =>
      call.schema === schema && piece.test(call.text) ? verdict(call) : undefined,
  };
}

const leaveOut: Verdict = () => ({ answer: nothing });

/** `compareAndSetCheckpoints` counts the rows that it gets back. */
const checkpointsMoved: Verdict = ({ parameters: [topics] }) => {
  const rows = Array.isArray(topics) ? topics.map(() => ({ partition: 0 })) : [];
  return { answer: { ...nothing, rows }, runsAfterCommit: true };
};

/** Bugs in what reaches the database. */
export const statementBugs: readonly Planted[] = [
  {
    name: 'no fence lock',
    what: 'appends do not take the shared fence lock',
    plant: () => on('tickets', /pg_advisory_xact_lock_shared/, leaveOut),
  },
  {
    name: 'fence without lock',
    what: 'the consumer raises fences without the exclusive lock',
    plant: () => on('tickets', /pg_advisory_xact_lock\(number/, leaveOut),
  },
  {
    name: 'fence not checked',
    what: 'appends do not look at fences',
    plant: () => on('tickets', /select scope, incarnation, cut_off_ms from fences/, leaveOut),
  },
  {
    name: 'fence before lock',
    what: 'keys leases without the shared fence lock',
    plant: () => on('keys', /pg_advisory_xact_lock_shared/, leaveOut),
  },
  {
    name: 'keys survive',
    what: 'a fence destroys no data keys',
    plant: () =>
      on('keys', /with destroyed as/, ({ text }) => ({
        text: text.replace('returning 1', 'and false returning 1'),
      })),
  },
  {
    name: 'checkpoint after effect',
    what: 'the checkpoint moves in a transaction of its own, after the effect',
    plant: () => on('audit', /insert into checkpoints as stored/, checkpointsMoved),
  },
  {
    name: 'checkpoint not compared',
    what: 'the checkpoint is set wherever it stood: two owners both apply',
    plant: () =>
      on('audit', /insert into checkpoints as stored/, ({ text }) => ({
        text: text.replace(
          'where (stored.sequence, stored.next_offset) =',
          'where true or (stored.sequence, stored.next_offset) =',
        ),
      })),
  },
  {
    name: 'sequence by a database sequence',
    what: 'sequences are counted outside the transaction that gives them',
    plant: sequenceOutsideTransaction,
  },
  {
    name: 'erased ranges not written',
    what: 'an erasure does not list the sequences that it takes away',
    plant: () => on('tickets', /insert into erased_ranges/, leaveOut),
  },
  {
    name: 'purge before relay',
    what: 'an erasure does not wait until its pending records have their sequences',
    plant: () => on('tickets', /indexed\.sequence is null limit 1/, leaveOut),
  },
  {
    name: 'purge before progress',
    what: 'an erasure does not wait until analytics has folded its records',
    plant: () => on('tickets', /from "erasure_heads"/, leaveOut),
  },
  {
    name: 'manifest done at once',
    what: 'a chunk is marked done when it is committed, before its rows are inserted',
    plant: () =>
      on('analytics', /insert into chunk_manifests/, ({ parameters }) => ({
        parameters: parameters.map((each) => (each === 'pending' ? 'done' : each)),
      })),
  },
  {
    name: 'commit error swallowed',
    what: 'an append whose commit failed is answered as accepted',
    plant: () => ({ swallowsCommitErrors: (schema) => schema === 'tickets' }),
  },
  {
    name: 'log ahead ignored',
    what: 'a relay whose table lost commits goes on where the log ends',
    plant: goingOnFromTheLog,
  },
  {
    name: 'event index not asked',
    what: 'appends do not look for duplicates',
    plant: () => on('tickets', /from event_index\s+where record_id = any/, leaveOut),
  },
];

function readsCounter(text: string): boolean {
  return text.trim().startsWith('select last_sequence, batch_first_sequence');
}

function sequenceOutsideTransaction(): PlantedBug {
  const given = new Map<string, bigint>();
  return {
    statement: ({ schema, text, parameters }) => {
      if (schema !== 'tickets') return undefined;
      if (readsCounter(text)) {
        const last = given.get(String(parameters[1])) ?? 0n;
        return {
          map: (answer) => ({
            ...answer,
            rows: answer.rows.map((row) => {
              const stored = row['last_sequence'] as bigint;
              return { ...row, last_sequence: stored > last ? stored : last };
            }),
          }),
        };
      }
      if (text.trim().startsWith('update partition_counters set last_sequence')) {
        given.set(String(parameters.at(-1)), parameters[0] as bigint);
      }
      return undefined;
    },
  };
}

/** The counter stands where the log does, whatever the table says. */
function goingOnFromTheLog(): PlantedBug {
  let world: World | undefined;
  return {
    begin: (given) => {
      world = given;
    },
    statement: ({ schema, text, parameters }) => {
      if (schema !== 'tickets' || !readsCounter(text)) return undefined;
      const at = { topic: 'tickets.v1', partition: Number(parameters[1]) };
      const onLog = world?.log.partition(at).lastSequence ?? 0n;
      return {
        map: (answer) => ({
          ...answer,
          rows: answer.rows.map((row) => {
            const stored = row['last_sequence'] as bigint;
            return { ...row, last_sequence: stored > onLog ? stored : onLog };
          }),
        }),
      };
    },
  };
}
