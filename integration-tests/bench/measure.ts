import type { Figure, Tell } from './figure.ts';
import { measurements } from './measurements.ts';
import type { RealPlaces } from './real-places.ts';

/** The process of one measurement: `measure.ts PLACE NAMES [SYSTEMS]`, started by main.ts, which gets its figures by IPC. */

/** What a measurement's process tells the one that started it, once for each figure. */
export interface MeasuredMessage {
  readonly figure: Figure;
}

const [place = '', names = '', systems] = process.argv.slice(2);
const real = systems === undefined ? undefined : (JSON.parse(systems) as RealPlaces);
const measurement = measurements[Number(place)];
if (measurement === undefined || process.send === undefined) {
  throw new RangeError('started by main.ts with the place of a measurement');
}
const measure = await measurement.load();
const tell: Tell = (figure) => {
  const message: MeasuredMessage = { figure };
  process.send?.(message);
};
await measure(new Set(names.split(',')), tell, real);
// The embedded engines leave threads behind that nobody joins: the process ends once everything is delivered.
process.send({ ended: true }, () => process.exit(0));
