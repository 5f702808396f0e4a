import type { Command } from 'commander';
import { z } from 'zod';
import {
  ReplayParkedStreamsResponse,
  ReplayState,
} from '@lethe/proto/gen/lethe/parking/v1/service.ts';
import { reasons } from '@lethe/proto/reasons.ts';
import {
  allParkingServices,
  eventsOf,
  type FoundStream,
  listParked,
  type ParkedWish,
  type ParkingServiceName,
  replayParked,
} from '../calls/parked.ts';
import type { Caller } from '../connection/session.ts';
import { withSession } from '../connection/with-session.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { CliError, usageError } from '../failures/cli-error.ts';
import { asCalled } from '../output/as-called.ts';
import { startProgress } from '../output/progress.ts';
import { writeJson } from '../output/write-json.ts';
import type { Surroundings } from '../surroundings.ts';
import {
  parkedListJson,
  parkedListText,
  parkedStreamJson,
  parkedStreamText,
  type ReplayEnd,
  replayJson,
  replayText,
} from '../views/parked.ts';
import { defineCommand, type CommandHost } from './define.ts';
import { declareConnection, oneOf, tenantOptions, wholeNumber } from './options.ts';
import { platformAdmin } from './tenant.ts';

const whichOptions = tenantOptions.extend({
  service: oneOf(['analytics', 'predictions']).optional(),
});

export function defineParkedCommands(program: Command, host: CommandHost): void {
  const parent = program.command('parked').summary('Events that a service could not apply');
  parent.description(
    'Events that a service could not apply wait in order, with those behind them of the same stream, until they are replayed or erased. Needs the role platform-admin.',
  );
  defineList(parent, host);
  defineShow(parent, host);
  defineReplay(parent, host);
}

function declareWhich(command: Command): void {
  command
    .option('--service <service>', `one of ${allParkingServices.join(', ')}; default: all`)
    .option('--tenant <id>', 'streams of this tenant alone');
  declareConnection(command);
}

function wishOf(options: z.infer<typeof whichOptions>, stream = '', reason = ''): ParkedWish {
  const services: readonly ParkingServiceName[] =
    options.service === undefined ? allParkingServices : [options.service];
  return { services, tenantId: options.tenant ?? '', stream, reason };
}

function defineList(parent: Command, host: CommandHost): void {
  defineCommand(parent, host, {
    usage: 'list',
    summary: 'List the parked streams and why',
    examples: ['parked list', 'parked list --service analytics --reason RECORD_NEWER --json'],
    declare: (command) => {
      command.option('--reason <reason>', 'of the first event of the stream, such as TAMPERED');
      declareWhich(command);
    },
    options: whichOptions.extend({
      reason: z
        .string()
        .refine((word) => Object.hasOwn(reasons, word), 'must be a reason of docs/errors.md')
        .optional(),
    }),
    run: async ({ options, surroundings }) =>
      await withSession(options, surroundings, async (session) => {
        const admin = session.as(platformAdmin);
        const answer = await listParked(admin, wishOf(options, '', options.reason));
        const { terminal, commandName } = surroundings;
        if (options.json) writeJson(terminal, parkedListJson(answer));
        else terminal.out(asCalled(parkedListText(answer, terminal.outStyle), commandName));
        return exitCodes.ok;
      }),
  });
}

function defineShow(parent: Command, host: CommandHost): void {
  defineCommand(parent, host, {
    usage: 'show <stream>',
    summary: 'Show what waits in one parked stream',
    details:
      'Ids, types, times, sizes and reasons; nothing is opened. A stream that several services have parked is shown for each.',
    examples: ['parked show 9f0c41d2b8a3e5f60718293a4b5c6d7e'],
    declare: (command) => {
      command.option('--events <count>', 'how many events to show', '100');
      declareWhich(command);
    },
    options: whichOptions.extend({ events: wholeNumber(1, 100_000) }),
    run: async ({ options, operands, surroundings }) =>
      await withSession(options, surroundings, async (session) => {
        const admin = session.as(platformAdmin);
        const found = await findStream(admin, wishOf(options, operands[0]));
        const { terminal, commandName } = surroundings;
        for (const each of found) {
          const events = await eventsOf(admin, each, options.events);
          if (options.json) writeJson(terminal, parkedStreamJson(each, events));
          else {
            const text = parkedStreamText(each, events, terminal.outStyle);
            terminal.out(asCalled(`${text}\n`, commandName));
          }
        }
        return exitCodes.ok;
      }),
  });
}

async function findStream(admin: Caller, wish: ParkedWish): Promise<readonly FoundStream[]> {
  const { found } = await listParked(admin, wish);
  if (found.length > 0) return found;
  throw new CliError(exitCodes.failed, `No stream ${wish.stream} is parked.`, {
    reason: 'PARKED_STREAM_UNKNOWN',
    next: reasons.PARKED_STREAM_UNKNOWN.next,
  });
}

function defineReplay(parent: Command, host: CommandHost): void {
  defineCommand(parent, host, {
    usage: 'replay [stream]',
    summary: 'Apply parked events, in order',
    details:
      'Each event is applied once, also when this command or the server is ended in the middle: run it again. An event that fails again keeps its place, and those behind it too. Exit code 1 when anything stays parked.',
    examples: [
      'parked replay 9f0c41d2b8a3e5f60718293a4b5c6d7e',
      'parked replay --all --service analytics',
    ],
    declare: (command) => {
      command.option('--all', 'every parked stream');
      declareWhich(command);
    },
    options: whichOptions.extend({ all: z.boolean().default(false) }),
    run: async ({ options, operands, surroundings }) => {
      const [stream] = operands;
      if ((stream === undefined) === !options.all) {
        throw usageError(
          stream === undefined
            ? 'Nothing says what to replay.'
            : 'A stream and --all are two wishes.',
          'Name one stream of `lethe parked list`, or say --all.',
        );
      }
      return await withSession(options, surroundings, async (session) => {
        const admin = session.as(platformAdmin);
        const wish = wishOf(options, stream);
        const found = options.all
          ? (await listParked(admin, wish)).found
          : await findStream(admin, wish);
        const ends = await replayAll(admin, found, surroundings);
        const { terminal, commandName } = surroundings;
        if (options.json) writeJson(terminal, replayJson(ends));
        else terminal.out(asCalled(replayText(ends, terminal.outStyle), commandName));
        return exitCodeOf(ends);
      });
    },
  });
}

/** Streams named in one call: well below what one message may hold. */
const refsPerCall = 1_000;

async function replayAll(
  admin: Caller,
  found: readonly FoundStream[],
  { terminal }: Surroundings,
): Promise<readonly ReplayEnd[]> {
  if (found.length === 0) return [];
  const total = found.reduce((sum, { stream }) => sum + Number(stream.events), 0);
  const progress = startProgress(terminal, { title: 'Replaying', total });
  // Until the server says otherwise, none of them has ended.
  const ends = new Map<string, ReplayEnd>(
    found.map(({ service, stream: { ref } }) => {
      const last = ReplayParkedStreamsResponse.create({ ref });
      return [`${service}/${refText(last)}`, { service, last }];
    }),
  );
  const applied = () => [...ends.values()].reduce((sum, { last }) => sum + Number(last.applied), 0);
  try {
    for (const service of allParkingServices) {
      const refs = found.flatMap((each) =>
        each.service === service && each.stream.ref !== undefined ? [each.stream.ref] : [],
      );
      for (let at = 0; at < refs.length; at += refsPerCall) {
        const page = refs.slice(at, at + refsPerCall);
        for await (const last of replayParked(admin, service, page)) {
          ends.set(`${service}/${refText(last)}`, { service, last });
          progress.update(applied(), `of ${found.length} streams`);
        }
      }
    }
  } catch (error) {
    progress.abandon();
    throw error;
  }
  progress.finish(`${applied()} of ${total} events applied`);
  return [...ends.values()];
}

function refText({ ref }: ReplayParkedStreamsResponse): string {
  return `${ref?.topic}/${ref?.partition}/${ref?.tenantId}/${ref?.stream}`;
}

function exitCodeOf(ends: readonly ReplayEnd[]): ExitCode {
  const isLeft = ends.some(
    ({ last: { state } }) =>
      state !== ReplayState.REPLAY_STATE_DONE && state !== ReplayState.REPLAY_STATE_NOT_PARKED,
  );
  return isLeft ? exitCodes.failed : exitCodes.ok;
}
