/**
 * Writes the alerts, dashboards and the collector's configuration from what the services declare, so that no name in them
 * is a word of its own. A test holds them.
 *
 *   node deploy/telemetry/write-files.ts
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { rulesText } from './alerts.ts';
import { collectorText } from './collector.ts';
import { dashboards } from './dashboards.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

const alertsHeader =
  '# Made by `node deploy/telemetry/write-files.ts`; tests hold it. Runbooks: docs/operators/runbooks.\n';

/** The files by their path in the checkout. The chart has alerts and dashboards, as it can only read its own folder. */
export function telemetryFiles(): ReadonlyMap<string, string> {
  return new Map([
    ['charts/lethe/files/alerts.yaml', `${alertsHeader}${rulesText()}`],
    ['deploy/telemetry/collector.yaml', collectorText()],
    ...Array.from(
      dashboards,
      ([name, content]) =>
        [
          `charts/lethe/files/dashboards/${name}.json`,
          `${JSON.stringify(content, null, 2)}\n`,
        ] as const,
    ),
  ]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [file, text] of telemetryFiles()) {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), text);
  }
}
