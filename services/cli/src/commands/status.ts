import type { Command } from 'commander';
import { status as grpcStatus } from '@grpc/grpc-js';
import { serviceNames } from '@lethe/proto/access.ts';
import { CallError } from '../calls/call-error.ts';
import { openChannel } from '../calls/channel.ts';
import { checkHealth, type ServingStatus } from '../calls/health.ts';
import { countParked, type ParkedInAll } from '../calls/parked.ts';
import { withSession } from '../connection/with-session.ts';
import type { Caller, Session } from '../connection/session.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { asCalled } from '../output/as-called.ts';
import type { Style } from '../output/style.ts';
import { tableText } from '../output/table.ts';
import { writeJson } from '../output/write-json.ts';
import type { CliClock, Surroundings } from '../surroundings.ts';
import { fetchTotals, totalsJson, totalsText, type TotalsAnswer } from '../views/totals.ts';
import { parkedInAllJson, parkedStatusText } from '../views/parked.ts';
import { defineCommand, type CommandHost } from './define.ts';
import { connectionOptions, declareConnection } from './options.ts';
import { listTenants, platformAdmin } from './tenant.ts';

export function defineStatus(program: Command, host: CommandHost): void {
  defineCommand(program, host, {
    usage: 'status',
    summary: 'Say what runs and what it holds',
    details:
      'Asks each service for its health; with the role platform-admin also the tenants, the totals of the platform, and up to when they are complete.',
    examples: ['status', 'status --server 127.0.0.1:7480 --json'],
    declare: (command) => {
      declareConnection(command);
      command.option(
        '--health-server <address>',
        'HOST:PORT for health; default: port 7481 of the server',
      );
    },
    options: connectionOptions.extend({ healthServer: connectionOptions.shape.server }),
    run: async ({ options, surroundings }) =>
      await withSession(
        options,
        surroundings,
        async (session) => await showStatus(session, options.json, surroundings),
      ),
  });
}

/** Also what `lethe up` shows instead of a second tour. */
export async function showStatus(
  session: Session,
  isJson: boolean,
  surroundings: Surroundings,
): Promise<ExitCode> {
  const { terminal } = surroundings;
  const health = await healthOfServices(session, surroundings.clock);
  const isHealthy = health.every(([, status]) => status === 'serving');
  const holdings = await holdingsOf(session);
  if (isJson) {
    writeJson(terminal, {
      address: session.channel.address,
      healthy: isHealthy,
      services: Object.fromEntries(health),
      tenants: holdings?.tenants,
      ...(holdings === undefined ? {} : { parked: parkedInAllJson(holdings.parked) }),
      ...(holdings === undefined ? {} : totalsJson(holdings.totals)),
    });
  } else {
    terminal.out(statusText(session.channel.address, health, terminal.outStyle));
    const text = holdings === undefined ? '' : holdingsText(holdings, terminal.outStyle);
    terminal.out(asCalled(text, surroundings.commandName));
  }
  return isHealthy ? exitCodes.ok : exitCodes.failed;
}

type Health = readonly (readonly [service: string, status: ServingStatus])[];

async function healthOfServices(
  { healthAddress, means }: Session,
  clock: CliClock,
): Promise<Health> {
  const channel = openChannel(healthAddress);
  const deadlineMs = clock.nowMs() + 5_000;
  const options = { accessToken: undefined, signal: means.signal, deadlineMs };
  try {
    const asked = serviceNames.map(
      async (service) => [service, await channel.unary(checkHealth, { service }, options)] as const,
    );
    return await Promise.all(asked);
  } finally {
    channel.close();
  }
}

interface Holdings {
  readonly tenants: number;
  readonly totals: TotalsAnswer;
  readonly parked: readonly ParkedInAll[];
}

/** Undefined when the token at hand is no platform admin's: the health alone is for everybody. */
async function holdingsOf(session: Session): Promise<Holdings | undefined> {
  const admin = session.as(platformAdmin);
  try {
    const [tenants, totals, parked] = await Promise.all([
      listTenants(admin),
      fetchTotals(admin),
      parkedOf(admin),
    ]);
    return { tenants: tenants.length, totals, parked };
  } catch (error) {
    if (error instanceof CallError && error.code === grpcStatus.PERMISSION_DENIED) return undefined;
    throw error;
  }
}

/** Nothing from a server of before parking. */
async function parkedOf(admin: Caller): Promise<readonly ParkedInAll[]> {
  try {
    return await countParked(admin);
  } catch (error) {
    if (error instanceof CallError && error.code === grpcStatus.UNIMPLEMENTED) return [];
    throw error;
  }
}

function statusText(address: string, health: Health, style: Style): string {
  const rows = health.map(([service, status]) => [
    service,
    status === 'serving' ? style.green(status) : style.red(status),
  ]);
  return `${style.bold('Lethe')} at ${address}\n${tableText([{ title: 'service' }, { title: 'health' }], rows, style)}`;
}

function holdingsText({ tenants, totals, parked }: Holdings, style: Style): string {
  const waiting = parkedStatusText(parked, style);
  return `\n${style.bold('Platform')}  ${tenants} tenants\n${totalsText(totals, style)}${waiting}`;
}
