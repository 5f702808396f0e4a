import type { Figure } from './figure.ts';
import { measurements } from './measurements.ts';

/** The process of one measurement: `measure.ts PLACE NAMES`, started by main.ts, which gets its figures by IPC. */

/** What a measurement's process tells the one that started it, once for each figure. */
export interface MeasuredMessage {
  readonly figure: Figure;
}

const [place = '', names = ''] = process.argv.slice(2);
const measurement = measurements[Number(place)];
if (measurement === undefined || process.send === undefined) {
  throw new RangeError('started by main.ts with the place of a measurement');
}
const measure = await measurement.load();
await measure(new Set(names.split(',')), (figure) => {
  const message: MeasuredMessage = { figure };
  process.send?.(message);
});
// The embedded engines leave threads behind that nobody joins: the process ends once everything is delivered.
process.send({ ended: true }, () => process.exit(0));
