/**
 * Where the ledger lies: on one server, or replicated to every server of a cluster. A cluster has one shard: the ledger
 * holds aggregates, and every query is answered by one server.
 */
export type LedgerTopology =
  | { readonly kind: 'single' }
  /** `cluster`: its name in the servers' configuration, a name of ours and not input. */
  | { readonly kind: 'replicated'; readonly cluster: string };

export const singleServer: LedgerTopology = { kind: 'single' };

/** Replicated where a cluster is named. */
export function topologyOf(cluster: string | undefined): LedgerTopology {
  return cluster === undefined ? singleServer : { kind: 'replicated', cluster };
}

/** What follows the name in a CREATE: where it is to happen. */
export function onCluster(topology: LedgerTopology): string {
  return topology.kind === 'single' ? '' : ` ON CLUSTER ${topology.cluster}`;
}

/**
 * The engine of the ledger's tables. The path in Keeper has the table's UUID, which ON CLUSTER gives to all replicas
 * alike, and not its name: tables change names, and a dropped one may be made again at once.
 */
export function ledgerEngine(topology: LedgerTopology): string {
  return topology.kind === 'single'
    ? 'ReplacingMergeTree'
    : "ReplicatedReplacingMergeTree('/clickhouse/lethe/{uuid}/{shard}', '{replica}')";
}

type Settings = Readonly<Record<string, string | number>>;

/** Of every insert, whatever server and user say. */
export function insertSettings(topology: LedgerTopology): Settings {
  return {
    // It would be acknowledged from memory.
    async_insert: 0,
    /*
     * Row keys make inserts idempotent for ever. The server's own memory of what it has had would swallow the very rows
     * that are inserted again because it lost them.
     */
    insert_deduplicate: 0,
    ...(topology.kind === 'single'
      ? {}
      : {
          // A manifest is marked done once most replicas have its rows, one insert after the other: then
          // a replica knows whether it has them all.
          insert_quorum: 'auto',
          insert_quorum_parallel: 0,
          insert_quorum_timeout: 60_000,
        }),
  };
}

/** Of every query. */
export function querySettings(topology: LedgerTopology): Settings {
  return topology.kind === 'single'
    ? {}
    : // A replica that has not got all that a quorum has refuses, so that "complete up to" holds whichever answers.
      { select_sequential_consistency: 1 };
}

/** Of statements that make, change or drop tables, and that delete rows. */
export function commandSettings(topology: LedgerTopology): Settings {
  return topology.kind === 'single'
    ? {}
    : {
        // Done on every replica, or an error.
        distributed_ddl_task_timeout: 180,
        distributed_ddl_output_mode: 'throw',
        alter_sync: 2,
        mutations_sync: 2,
      };
}
