import { randomBytes } from 'node:crypto';
import { setLogger } from '@grpc/grpc-js';
import type { z } from 'zod';
import { reasons } from '@lethe/proto/reasons.ts';
import {
  describeSettings,
  type SettingDescription,
  settingsText,
  summaryText,
  unknownSettings,
} from '../config/describe-settings.ts';
import { parseTogether } from '../config/parse-together.ts';
import type { Migrations } from '../database/migrate.ts';
import { placeOf } from '../errors/failure.ts';
import { ServiceError } from '../errors/service-error.ts';
import { systemClock } from '../lifecycle/clock.ts';
import { createLogger } from '../log/logger.ts';
import { openTelemetry } from '../telemetry/open-telemetry.ts';
import type { RepairFinding, RepairPorts, RepairWish } from '../repair/port.ts';
import { parseProcessConfig, type ProcessShape, processSettings } from './process-config.ts';
import { isOneOff, type OneOff, oneOffs, runOneOff } from './one-off.ts';
import { findingsText, runRepairProcess } from './repair-process.ts';
import { type Composed, type ProcessPorts, type Run, startRun } from './run.ts';

/** A service as a process of its own: what its `main.ts` says. */
export interface ServiceProcess<Own> extends ProcessShape {
  /** Whether there may be one process of it alone. */
  readonly isSole?: boolean;
  /** The service's own variables, as schemas to describe them by. */
  readonly settings: readonly z.ZodObject[];
  /** Reads them. Throws CONFIG_INVALID. */
  readonly parse: (env: Environment) => Own;
  readonly compose: (config: Own, ports: ProcessPorts) => Promise<Composed>;
  /** Of its schema, for `--migrate`; its start makes them too. */
  readonly migrations: Migrations;
  /** Compares the service's stores with each other and mends them: `--repair`. Absent: there is nothing to repair. */
  readonly repair?: (
    config: Own,
    ports: RepairPorts,
    wish: RepairWish,
  ) => Promise<readonly RepairFinding[]>;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** The process that runs, as Node gives it to a main. */
export type Host = Pick<NodeJS.Process, 'argv' | 'env' | 'stdout' | 'stderr' | 'exit' | 'on'>;

/** Beyond the calls in flight: consumers, relay, stores. */
const stopWithinMs = 15_000;
const exitCodes = { done: 0, failed: 1, usage: 2 } as const;

/** All variables of a service's process. */
export function settingsOf<Own>(described: ServiceProcess<Own>): readonly SettingDescription[] {
  return [...described.settings, ...processSettings(described)].flatMap(describeSettings);
}

/**
 * The life of a service's process. Without arguments: reads the environment, waits for what it needs, serves, and on
 * SIGTERM or SIGINT finishes what is in flight and exits 0; a second signal ends it at once. Exits 2 for settings that
 * are wrong, all of them told at once, and 1 when it cannot go on. `--check-config`, `--help`: says, and exits.
 */
export function runService<Own>(host: Host, described: ServiceProcess<Own>): void {
  const { name } = described;
  const asked = host.argv.slice(2).join(' ');
  const env = withoutEmpty(host.env);
  if (!argumentsOf(described).includes(asked)) {
    const known = argumentsOf(described).filter((each) => each !== '');
    host.stderr.write(`${name}: takes ${known.join(', ')} or no argument\n`);
    host.exit(exitCodes.usage);
    return;
  }
  if (asked === '--help') {
    host.stdout.write(helpText(described));
    host.exit(exitCodes.done);
    return;
  }
  if (isOneOff(asked)) {
    void doOnce(host, described, asked, env);
    return;
  }
  const configs = readConfigs(host, described, env);
  if (configs === undefined) {
    host.exit(exitCodes.usage);
    return;
  }
  if (asked === '--check-config') {
    host.stdout.write(`ok: the settings of ${name} keep every rule; nothing was connected to\n`);
    host.stdout.write(summaryText(settingsOf(described), env));
    host.exit(exitCodes.done);
    return;
  }
  if (asked.startsWith('--repair')) void repair(host, described, configs, asked !== '--repair');
  else live(host, described, configs);
}

function argumentsOf<Own>({ repair: hasRepair }: ServiceProcess<Own>): readonly string[] {
  const repairs = hasRepair === undefined ? [] : ['--repair', '--repair --yes'];
  return ['--help', '--check-config', ...oneOffs, ...repairs, ''];
}

/** Exits 0 when it is done, 2 for settings that are wrong, 1 where a store refuses. */
async function doOnce<Own>(
  host: Host,
  { name, migrations }: ServiceProcess<Own>,
  asked: OneOff,
  env: Environment,
): Promise<void> {
  try {
    host.stdout.write(await runOneOff(asked, name, migrations, env));
    host.exit(exitCodes.done);
  } catch (error) {
    const isSetting = error instanceof ServiceError && error.violations.length > 0;
    refuse(host, name, error, isSetting ? exitCodes.usage : exitCodes.failed);
  }
}

function refuse(host: Host, name: string, error: unknown, exitCode: number): void {
  const known = error instanceof ServiceError;
  const message = known ? `${error.message} ${reasons[error.reason].next}` : placeOf(error);
  host.stderr.write(`${name}: ${known ? error.reason : 'INTERNAL_DEFECT'}: ${message}\n`);
  host.exit(exitCode);
}

/** Exits 0 when nothing is left to do, 1 when something is or cannot be done. */
async function repair<Own>(
  host: Host,
  { name, repair: work }: ServiceProcess<Own>,
  { own, run: config }: Configs<Own>,
  mends: boolean,
): Promise<void> {
  const logger = createLogger({ service: name, level: config.logLevel });
  setLogger({ error: () => undefined, info: () => undefined, debug: () => undefined });
  const ending = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) host.on(signal, () => ending.abort());
  try {
    const wish = { mends, signal: ending.signal };
    const findings = await runRepairProcess(
      { name, config, logger, repair: async (ports) => (await work?.(own, ports, wish)) ?? [] },
      wish,
    );
    host.stdout.write(findingsText(name, findings));
    const isWhole = findings.every(({ state }) => state === 'mended');
    host.exit(isWhole ? exitCodes.done : exitCodes.failed);
  } catch (error) {
    refuse(host, name, error, exitCodes.failed);
  }
}

/** A variable that is set to nothing, as charts do it, is not set. */
function withoutEmpty(env: Environment): Environment {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
}

function helpText<Own>(described: ServiceProcess<Own>): string {
  const { name, repair: hasRepair } = described;
  const repairText =
    `  --repair        compares its database with what it belongs to, and says what does not fit; 1 when something\n` +
    `                  does not. No process of ${name} may run. With --yes it mends what can be mended\n`;
  return (
    `The ${name} service of Lethe. It is configured by environment variables alone:\n\n` +
    `${settingsText(settingsOf(described))}\n` +
    `  --check-config  reads them and says what is wrong, all at once, or "ok"; connects to nothing\n` +
    `  --migrate       brings the schema of ${name} to this version, reading the variables of PostgreSQL alone\n` +
    `  --create-topics makes and compares all topics, reading the variables of Kafka alone: an administrator's\n` +
    (hasRepair === undefined ? '' : repairText) +
    `Exit codes: 0 done, 1 it cannot go on (the log says why), 2 settings or arguments are wrong.\n`
  );
}

type Configs<Own> = { readonly own: Own; readonly run: ReturnType<typeof parseProcessConfig> };

function readConfigs<Own>(
  host: Host,
  described: ServiceProcess<Own>,
  env: Environment,
): Configs<Own> | undefined {
  const { name } = described;
  for (const variable of unknownSettings(settingsOf(described), env)) {
    host.stderr.write(`${name}: ${variable} is no setting of ${name}; see --help\n`);
  }
  try {
    return parseTogether(name, {
      own: () => described.parse(env),
      run: () => parseProcessConfig(described, env, Date.now()),
    });
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    for (const { field, description } of error.violations) {
      host.stderr.write(`${name}: ${field}: ${description}\n`);
    }
    return undefined;
  }
}

function live<Own>(host: Host, described: ServiceProcess<Own>, { own, run: config }: Configs<Own>) {
  const { name } = described;
  const telemetry =
    config.telemetry === undefined
      ? undefined
      : openTelemetry(config.telemetry, {
          name,
          clock: systemClock,
          randomBytes,
          onUndelivered: () => logger.warn({ component: 'telemetry' }, 'telemetry is not taken'),
        });
  const copies = telemetry === undefined ? {} : { copies: telemetry.logs };
  const logger = createLogger({ service: name, level: config.logLevel, ...copies });
  // grpc-js would write peer addresses and library errors to stderr; what matters reaches our own log.
  setLogger({ error: () => undefined, info: () => undefined, debug: () => undefined });
  const fail = (error: unknown): never => {
    const known = error instanceof ServiceError;
    const message = known ? `${error.message} ${reasons[error.reason].next}` : placeOf(error);
    logger.fatal({ reason: known ? error.reason : 'INTERNAL_DEFECT', problem: message }, 'ends');
    return host.exit(exitCodes.failed);
  };
  host.on('uncaughtException', fail);
  host.on('unhandledRejection', fail);
  const run = startRun({
    ...described,
    config,
    isSole: described.isSole === true,
    compose: async (ports) => await described.compose(own, ports),
    logger,
    ...(telemetry === undefined ? {} : { telemetry }),
    onFatal: fail,
  });
  const ending = createEnding(host, run, config.shutdownGraceMs + config.drainDelayMs, fail);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    host.on(signal, () => {
      logger.info({ signal }, 'stops');
      ending.begin();
    });
  }
  run.started.catch((error: unknown) => {
    // Told to stop before it served: that is no failure.
    if (!ending.hasBegun()) fail(error);
  });
}

function createEnding(host: Host, run: Run, graceMs: number, fail: (error: unknown) => never) {
  let begun = false;
  return {
    hasBegun: () => begun,
    begin: () => {
      if (begun) host.exit(exitCodes.failed);
      begun = true;
      setTimeout(() => {
        fail(new ServiceError('SHUTTING_DOWN', 'What was in flight did not end in time.'));
      }, graceMs + stopWithinMs).unref();
      run.stop().then(() => host.exit(exitCodes.done), fail);
    },
  };
}
