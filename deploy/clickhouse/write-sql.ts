#!/usr/bin/env node
/*
 * Writes the SQL files beside it, or prints one for a cluster of another name:
 *
 *   node deploy/clickhouse/write-sql.ts
 *   node deploy/clickhouse/write-sql.ts --cluster analytics --print ledger-cluster.sql
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { clusterInFiles, sqlFiles } from './sql-files.ts';

const { values } = parseArgs({
  options: {
    cluster: { type: 'string', default: clusterInFiles },
    print: { type: 'string' },
  },
});
if (!/^[a-z][a-z0-9_]*$/.test(values.cluster)) {
  throw new TypeError('--cluster must be lower-case letters, digits and underscores');
}
const files = sqlFiles(values.cluster);
if (values.print === undefined) {
  if (values.cluster !== clusterInFiles) {
    throw new TypeError('--cluster goes with --print: the files here are for the name "lethe"');
  }
  for (const [name, text] of files) writeFileSync(new URL(name, import.meta.url), text);
} else {
  const text = files.get(values.print);
  if (text === undefined)
    throw new TypeError(`--print takes one of ${[...files.keys()].join(', ')}`);
  process.stdout.write(text);
}
