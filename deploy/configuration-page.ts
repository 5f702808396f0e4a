/**
 * Writes docs/operators/configuration.md from what the services say of themselves with --help, so that the page and the
 * rules by which settings are read are one. A test holds the page.
 *
 *   node deploy/configuration-page.ts
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type ServiceName, serviceNames } from '@lethe/proto/access.ts';

export const configurationPageFile = fileURLToPath(
  new URL('../docs/operators/configuration.md', import.meta.url),
);

/** A variable as a service describes it. */
export interface Setting {
  readonly name: string;
  readonly state: string;
  readonly meaning: string;
}

/** A variable, its state in brackets, its meaning on the next line. */
const settingForm = /^ {2}(LETHE_\w+)(?: {2}\((.*)\))?\n {6}(.*)$/gm;

/** What a service says with --help. */
export function helpOf(service: ServiceName): string {
  const main = fileURLToPath(new URL(`../services/${service}/src/main.ts`, import.meta.url));
  return execFileSync(process.execPath, [main, '--help'], { encoding: 'utf8', env: {} });
}

/** The page, from what each service says with --help. */
export function configurationPage(help: (service: ServiceName) => string): string {
  const all = new Map(serviceNames.map((name) => [name, settingsIn(help(name))]));
  const settings = (service: ServiceName) => all.get(service) ?? [];
  const isOfAll = (services: readonly ServiceName[], { name }: Setting) =>
    services.every((service) => settings(service).some((each) => each.name === name));
  const everywhere = settings('tickets').filter((each) => isOfAll(serviceNames, each));
  const withPublicApi = serviceNames.filter((name) => name !== 'keys');
  const published = settings('tickets').filter(
    (each) => isOfAll(withPublicApi, each) && !everywhere.includes(each),
  );
  const shared = new Set([...everywhere, ...published].map(({ name }) => name));
  const own = serviceNames.map((service) => {
    const rows = settings(service).filter(({ name }) => !shared.has(name));
    return `## ${service}\n\n${table(rows)}`;
  });
  return [
    introduction,
    `## Every service\n\n${table(everywhere)}`,
    `## Every service with a public API: all but keys\n\n${table(published)}`,
    ...own,
  ].join('\n');
}

/** The variables in what a service says with --help. */
export function settingsIn(help: string): readonly Setting[] {
  return Array.from(help.matchAll(settingForm), ([, name = '', state = '', meaning = '']) => ({
    name,
    state,
    meaning,
  }));
}

function table(settings: readonly Setting[]): string {
  const rows = settings.map(
    ({ name, state, meaning }) => `| \`${name}\` | ${escaped(meaning)} | ${escaped(state)} |\n`,
  );
  return `| variable | meaning | |\n|---|---|---|\n${rows.join('')}`;
}

function escaped(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
}

const introduction = `# Settings of the six services

Made from the services' own \`--help\` by \`node deploy/configuration-page.ts\`; a test holds it.

Each service is a process that reads environment variables once, at its start. \`node services/<service>/src/main.ts
--check-config\` reads them, and the files that they name, and says everything that is wrong at once, or "ok" with what is
set; it connects to nothing. Exit codes: 0 done, 1 the process cannot go on (the log says why), 2 settings are wrong.

- Secrets are files (\`…_FILE\`), except a password within \`LETHE_POSTGRES_URL\`, which \`LETHE_POSTGRES_PASSWORD_FILE\` replaces.
- A variable that is set to nothing is not set. A variable with our prefix that a service does not know is named on
  standard error, and no reason to refuse: a misspelt name shows there. On Kubernetes set \`enableServiceLinks: false\`, or
  the cluster adds variables of that form.
- Plaintext is for loopback, and must be asked for.
`;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(configurationPageFile, configurationPage(helpOf));
}
