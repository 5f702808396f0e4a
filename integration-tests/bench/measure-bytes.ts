import { parseArgs } from 'node:util';
import { writeBytes, writePages } from './pages.ts';
import { measureStoredBytes } from './stored-bytes.ts';

/**
 * `node integration-tests/bench/measure-bytes.ts --data DIR --made TEXT [--write]`: what the events of a data folder take in
 * each store, and on a broker that is started for it. No server may work on the folder. `--write` keeps the figures
 * (docs/bench/bytes.json) and rewrites the tables that are made of them.
 */
const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    made: { type: 'string', default: '' },
    write: { type: 'boolean', default: false },
  },
});
if (values.data === undefined) throw new RangeError('--data names the data folder');
const measured = await measureStoredBytes(values.data, values.made);
if (values.write) {
  writeBytes(measured);
  writePages();
}
process.stdout.write(`${JSON.stringify(measured, undefined, 2)}\n`);
