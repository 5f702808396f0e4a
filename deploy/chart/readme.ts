import { type Group, type Json, type Value, valuesOf } from './schema-parts.ts';

/** The chart's README: what it is, and every value. */
export function readmeText(values: Group): string {
  const sections = Object.entries(values.members).map(([name, member]) => {
    if (member.kind === 'value') return undefined;
    return `### ${name}\n\n${member.description}\n\n${table(rowsOf(name, member))}`;
  });
  const single = Object.entries(values.members).flatMap(([name, member]) =>
    member.kind === 'value' ? [rowOf([name], member)] : [],
  );
  return [
    introduction,
    `### Names and logs\n\n${table(single)}`,
    ...sections.filter((each) => each !== undefined),
  ].join('\n');
}

/** The six services take the same values but for a few: a row stands for all that have it. */
function rowsOf(name: string, part: Group): readonly string[] {
  if (name !== 'services')
    return [...valuesOf(part, [name])].map(([path, value]) => rowOf(path, value));
  const rows = new Map<string, string[]>();
  for (const [service, member] of Object.entries(part.members)) {
    if (member.kind === 'value') continue;
    for (const [path, value] of valuesOf(member, [])) {
      if (path[0] === 'settings') continue;
      const row = rowOf(['services', '<service>', ...path], value);
      rows.set(row, [...(rows.get(row) ?? []), service]);
    }
  }
  const count = Object.keys(part.members).length;
  const shown = [...rows].map(([row, services]) =>
    services.length === count ? row : row.replace('&lt;service>', services.join(', ')),
  );
  return [...shown, settingsRow(part)];
}

function settingsRow(part: Group): string {
  const variables = Object.values(part.members).flatMap((member) => {
    const settings = member.kind === 'group' ? member.members['settings'] : undefined;
    const properties = settings?.kind === 'value' ? settings.schema['properties'] : undefined;
    return Object.keys((properties ?? {}) as object);
  });
  return `| \`services.<service>.settings\` | ${[...new Set(variables)].map((each) => `\`${each}\``).join(' ')}: those of that service that [its settings](../../docs/operators/configuration.md) name | \`{}\` |\n`.replace(
    '<service>',
    '&lt;service>',
  );
}

function rowOf(path: readonly string[], { description, fallback, schema }: Value): string {
  const words = schema['enum'];
  const choice = Array.isArray(words)
    ? ` One of ${words.map((word) => `\`${String(word)}\``).join(', ')}.`
    : '';
  const bounds =
    'minimum' in schema
      ? ` ${JSON.stringify(schema['minimum'])} to ${JSON.stringify(schema['maximum'])}.`
      : '';
  return `| \`${path.join('.').replaceAll('<', '&lt;')}\` | ${escaped(description)}${choice}${bounds} | ${shown(fallback)} |\n`;
}

function shown(fallback: Json | undefined): string {
  return fallback === undefined ? '' : `\`${JSON.stringify(fallback)}\``;
}

function escaped(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
}

function table(rows: readonly string[]): string {
  return `| value | meaning | default |\n|---|---|---|\n${rows.join('')}`;
}

const introduction = `# Chart lethe

The six services of Lethe on Kubernetes. It brings no store of its own and makes no secret: it is given four endpoints
(PostgreSQL, Kafka, ClickHouse, a KMS) and the names of Secrets. What is rendered depends on the values and on nothing else.
[From endpoints to a running release](../../docs/operators/kubernetes.md).

- Pods keep the restricted Pod Security Standard: no root, no capabilities, a read-only root file system, no token of the API.
- Images are pinned by digest; rendering fails while one is missing.
- Nothing may be reached and nothing may be called but what values name (NetworkPolicy).
- Wrong values are refused before anything is made: unknown keys by \`values.schema.json\`, missing ones all at once.

## Values

Written from \`deploy/chart\` by \`node deploy/chart/write-chart.ts\`; a test holds it. \`global\` and \`enabled\` are taken and not
read, for charts that depend on this one.
`;
