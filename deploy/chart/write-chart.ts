/**
 * Writes the files of charts/lethe that follow from the services' settings, from proto and from deploy/chart: values.yaml,
 * its schema, the README and what templates must know of the services. A test holds them.
 *
 *   node deploy/chart/write-chart.ts
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chartFiles } from './chart-files.ts';

const chart = new URL('../../charts/lethe/', import.meta.url);

for (const { path, text } of chartFiles()) writeFileSync(fileURLToPath(new URL(path, chart)), text);
