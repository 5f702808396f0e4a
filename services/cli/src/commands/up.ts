import type { Command } from 'commander';
import { z } from 'zod';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { isAbort } from '../failures/explain.ts';
import { startServer, type RunningServer } from '../server/start-server.ts';
import type { Surroundings } from '../surroundings.ts';
import { writeJson } from '../output/write-json.ts';
import { defineCommand, type CommandHost } from './define.ts';
import { declareHelpDesk, helpDeskOptions, helpDeskSettings } from './generate.ts';
import { declareJson, defaultDataFolder, wholeNumber } from './options.ts';
import { tourOrStatus } from './tour.ts';

const options = helpDeskOptions.omit({ server: true, token: true }).extend({
  tour: z.boolean().default(false),
  once: z.boolean().default(false),
  port: wholeNumber(0, 65_535).optional(),
  healthPort: wholeNumber(0, 65_535).optional(),
  kafka: z.string().min(1).optional(),
  postgres: z
    .string()
    .min(1)
    .refine((url) => !hasPassword(url), {
      error:
        'must not hold a password, as every user of this machine sees command lines: write it to a file and name that by LETHE_POSTGRES_PASSWORD_FILE',
    })
    .optional(),
  vault: z.string().min(1).optional(),
  clickhouse: z.string().min(1).optional(),
  telemetry: z.string().min(1).optional(),
});

function hasPassword(url: string): boolean {
  return /:\/\/[^/?#]*:[^/?#]*@/.test(url) || /[?&]password=/i.test(url);
}

type UpOptions = z.infer<typeof options>;

export function defineUp(program: Command, host: CommandHost): void {
  defineCommand(program, host, {
    usage: 'up',
    summary: 'Start a server here, all six services in one process',
    details:
      'Everything that it keeps lies in the data folder and survives a restart; with --kafka, --postgres, --vault and --clickhouse, any of them, it lies on those systems instead. It serves until Ctrl-C; with --once, or when stdout is no terminal, it ends by itself after the tour or the start.',
    examples: [
      'up',
      'up --tour',
      'up --tour --once',
      'up --data ./demo --port 7580 --health-port 7581',
      'up --telemetry http://127.0.0.1:4318 --tour',
      'up --postgres postgresql://lethe@localhost/lethe --data ./on-postgres --tour',
      'up --kafka k1:9093,k2:9093 --postgres postgresql://lethe@db/lethe --vault https://vault:8200 --clickhouse https://ch:8443 --data ./notes',
    ],
    after: systemsHelp,
    declare: (command) => {
      command
        .option('--tour', 'let the server show itself with a made-up help desk')
        .option('--once', 'end after the tour or the start')
        .option('--data <dir>', 'data folder', defaultDataFolder)
        .option(
          '--port <number>',
          'where it serves on 127.0.0.1; 0 takes any free port; default 7480',
        )
        .option('--health-port <number>', 'where it answers health checks; default 7481')
        .option(
          '--kafka <host:port,…>',
          'event log on Apache Kafka 4; default: a file in the data folder',
        )
        .option(
          '--postgres <url>',
          'state on PostgreSQL 15 or newer, postgresql://USER@HOST[:PORT]/DATABASE without a password; default: in the process',
        )
        .option('--vault <url>', 'tenant keys in Vault or OpenBao Transit; default: a keyring file')
        .option('--clickhouse <url>', 'figures on ClickHouse over HTTP; default: in the process')
        .option(
          '--telemetry <url>',
          'OpenTelemetry collector that traces, metrics and logs go to (OTLP over HTTP); default: none',
        );
      declareHelpDesk(command);
      declareJson(command);
    },
    options,
    run: async ({ options: wish, surroundings }) => {
      const server = await startServer(wish, surroundings);
      try {
        return await serve(server, wish, surroundings);
      } finally {
        await server.stop();
      }
    },
  });
}

const systemsHelp = `Real systems:
  Plaintext is for this machine alone (localhost): elsewhere TLS is verified, and https is asked for.
  How to log in comes from the environment, secrets from files that it names:
    Kafka       LETHE_KAFKA_SASL, LETHE_KAFKA_USERNAME, LETHE_KAFKA_PASSWORD_FILE, LETHE_KAFKA_CA_FILE
    PostgreSQL  LETHE_POSTGRES_PASSWORD_FILE, LETHE_POSTGRES_CA_FILE
    Vault       LETHE_KEYS_VAULT_AUTH=approle, LETHE_KEYS_VAULT_ROLE_ID_FILE, LETHE_KEYS_VAULT_SECRET_ID_FILE
    ClickHouse  LETHE_CLICKHOUSE_USER, LETHE_CLICKHOUSE_PASSWORD_FILE, LETHE_CLICKHOUSE_CA_FILE
  docs/operators/standalone-on-real-systems.md has the rest.
`;

async function serve(
  server: RunningServer,
  wish: UpOptions,
  surroundings: Surroundings,
): Promise<ExitCode> {
  const { terminal, clock } = surroundings;
  const style = terminal.outStyle;
  if (wish.json)
    writeJson(terminal, {
      address: server.address,
      healthAddress: server.healthAddress,
      places: server.places,
    });
  else
    terminal.out(
      `${style.bold('Lethe')} serves at ${style.green(server.address)}${onText(server)}\n`,
    );
  const toured = wish.tour ? await tour(server, wish, surroundings, clock.nowMs()) : exitCodes.ok;
  const servesOn = !wish.once && terminal.isOutTerminal;
  if (!servesOn || toured !== exitCodes.ok) return toured;
  if (!wish.json) terminal.out(whatNextText(server, wish, surroundings));
  return await untilStopped(server, surroundings.signal);
}

function onText({ places }: RunningServer): string {
  return places.length === 0 ? '' : `, on ${places.join(', ')}`;
}

async function tour(
  server: RunningServer,
  wish: UpOptions,
  surroundings: Surroundings,
  nowMs: number,
): Promise<ExitCode> {
  const { address, healthAddress } = server;
  const connection = {
    data: wish.data,
    server: address,
    healthServer: healthAddress,
    json: wish.json,
  };
  const ending = new AbortController();
  const end = () => ending.abort();
  surroundings.signal.addEventListener('abort', end, { once: true });
  if (surroundings.signal.aborted) end();
  const settings = helpDeskSettings(wish, nowMs);
  const touring = tourOrStatus(connection, settings, { ...surroundings, signal: ending.signal });
  try {
    // A server that dies during the tour is the better explanation of whatever call fails because of it.
    return await Promise.race([touring, server.died]);
  } finally {
    // Or its calls would be tried again for minutes.
    end();
    surroundings.signal.removeEventListener('abort', end);
  }
}

async function untilStopped(server: RunningServer, signal: AbortSignal): Promise<ExitCode> {
  try {
    await Promise.race([server.died, aborted(signal)]);
  } catch (error) {
    if (!isAbort(error)) throw error;
  }
  return exitCodes.ok;
}

async function aborted(signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function whatNextText(
  { address, healthAddress, places }: RunningServer,
  { data }: UpOptions,
  { terminal, commandName }: Surroundings,
): string {
  const style = terminal.outStyle;
  const folder = data === defaultDataFolder ? '' : ` --data ${data}`;
  const same = places.length === 0 ? '' : ' with the same systems';
  return [
    '',
    `${style.bold('Serving')} on ${style.green(address)}, health on ${healthAddress}, data in ${[data, ...places].join(', ')}`,
    `  look      ${commandName} status${folder}`,
    `  ask       ${commandName} query created --tenant aldermoor-energy --grain week --by channel${folder}`,
    `  stop      Ctrl-C; the data stays, and the next start${same} goes on with it`,
    '',
  ].join('\n');
}
