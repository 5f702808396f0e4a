import { ledgerDatabase, ledgerDdl } from '../../services/analytics/src/ledger/table-ddl.ts';
import {
  type LedgerTopology,
  onCluster,
  singleServer,
} from '../../services/analytics/src/ledger/topology.ts';
import { accessStatements } from './access-sql.ts';

/** The cluster's name in the files; another one is put in its place by the command. */
export const clusterInFiles = 'lethe';

/** The reviewed SQL, by file name: what the code makes of the table definitions, and who may do what. */
export function sqlFiles(cluster = clusterInFiles): ReadonlyMap<string, string> {
  const replicated: LedgerTopology = { kind: 'replicated', cluster };
  return new Map([
    ['ledger.sql', fileOf(tablesHeader, tables(singleServer))],
    ['ledger-cluster.sql', fileOf(`${tablesHeader}\n${clusterHeader}`, tables(replicated))],
    ['access.sql', fileOf(accessHeader, accessStatements(''))],
    [
      'access-cluster.sql',
      fileOf(`${accessHeader}\n${clusterHeader}`, accessStatements(onCluster(replicated))),
    ],
  ]);
}

/** What is between the semicolons of a file, without comments. */
export function statementsOf(file: string): readonly string[] {
  return file
    .split(/;\n/)
    .map((text) => text.replaceAll(/^--.*\n/gm, '').trim())
    .filter((text) => text !== '');
}

/** Analysts' tables come with the release mechanism; their database is there for the grants. */
function tables(topology: LedgerTopology): readonly string[] {
  const released = `CREATE DATABASE IF NOT EXISTS released${onCluster(topology)}`;
  return [...ledgerDdl(ledgerDatabase, topology), released];
}

function fileOf(header: string, statements: readonly string[]): string {
  return `${[header, ...statements.map((statement) => `${statement};`)].join('\n\n')}\n`;
}

const generated =
  '-- Written by "node deploy/clickhouse/write-sql.ts"; a test holds the file equal to the code';
const tablesHeader = `-- The tables of Lethe's analytics. Each statement may run again.\n${generated} (services/analytics/src/ledger).`;
const accessHeader = `-- Roles, limits, grants and users of Lethe's analytics; as an administrator. Each statement may run again, and
-- changes nothing that is there already.
${generated} (access-sql.ts).`;
const clusterHeader =
  '-- For a cluster of one shard, whose name is "lethe" here ("--cluster NAME" puts in another).';
