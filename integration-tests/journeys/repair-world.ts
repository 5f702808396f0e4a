import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Grain } from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import { AppendOutcome } from '@lethe/proto/gen/lethe/log/v1/append.ts';
import { ErasureGround, ReturningPersons } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import {
  ErasureState,
  PrivacyServiceService,
  RequestErasureRequest,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { TicketStatus } from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import {
  type NewTicketEvent,
  TicketServiceService,
} from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { mintOf } from '../harness/access-tokens.ts';
import { type Api, openApi } from '../harness/api.ts';
import { allFigures, figuresComplete, type Figures } from '../harness/figures.ts';
import { jsonLine, runLethe, type LetheResult } from '../harness/lethe.ts';
import { createProcessKeeper, type ProcessKeeper } from '../harness/processes.ts';
import { NotStarted, startServer } from '../harness/server.ts';
import { violationsIn } from '../harness/stored-laws.ts';
import { makeFolder, removeFolder } from '../harness/temporary-folder.ts';
import { messageAdded, newEvent, statusChanged, ticketOpened } from '../harness/ticket-events.ts';

export interface Report {
  readonly findings: readonly { store: string; state: string; what: string; action: string }[];
  readonly isCutShort: boolean;
}

const tenantId = 'tenant-to-mend';
const { getErasure, registerTenant, requestErasure } = PrivacyServiceService;

/** Known to the older copy of the database. */
const known = [
  newEvent('T-1', ticketOpened('requester-1')),
  ...Array.from({ length: 20 }, (_, index) => newEvent('T-1', messageAdded(`reply ${index}`))),
];
/** Of a person who is erased after the copy was made. */
const erased = [
  newEvent('T-3', ticketOpened('requester-3')),
  newEvent('T-3', messageAdded('to be forgotten')),
];
/** After the copy, of a ticket that it knows. */
const later = [
  ...Array.from({ length: 10 }, (_, index) => newEvent('T-1', messageAdded(`later ${index}`))),
  newEvent('T-1', statusChanged(TicketStatus.TICKET_STATUS_SOLVED)),
];
/** After the copy, of a ticket whose key it does not have. */
const foreign = [
  newEvent('T-2', ticketOpened('requester-2')),
  newEvent('T-2', messageAdded('a reply')),
];

export interface RepairWorld {
  readonly folder: string;
  readonly original: string;
  /** The database of `original` as it was before `later` and `foreign`. */
  readonly olderDatabase: string;
  /** The same of its log. */
  readonly olderLog: string;
  readonly foreign: readonly NewTicketEvent[];
  /** A copy of `original`. */
  copied(name: string): string;
  serve<Result>(dataFolder: string, work: (api: Api) => Promise<Result>): Promise<Result>;
  /** Why a start is refused; fails when it is not. */
  refusedStart(dataFolder: string): Promise<string>;
  repair(dataFolder: string, ...args: readonly string[]): Promise<LetheResult>;
  /** `lethe repair --yes`, to a good end. */
  mend(dataFolder: string): Promise<Report>;
  /**
   * Asserts that there is nothing to repair any more, that every event is known but for those that had to be sent
   * again, that what was erased still is, and that the figures are those of the original.
   */
  assertWhole(dataFolder: string, sentAgain?: readonly NewTicketEvent[]): Promise<void>;
  remove(): Promise<void>;
}

/** A data folder with two tickets, and a third whose requester was erased; takes two starts. */
export async function makeRepairWorld(): Promise<RepairWorld> {
  const keeper = createProcessKeeper();
  const folder = makeFolder();
  const original = join(folder, 'original');
  const olderDatabase = join(folder, 'older-pg');
  const olderLog = join(folder, 'older-log.sqlite');
  const processes = createProcesses(keeper, join(folder, 'server.log'));
  const { serve, repair } = processes;

  await serve(original, async (api) => {
    await register(api, original);
    await append(api, original, [...known, ...erased]);
    await figuresOf(api, original);
  });
  cpSync(join(original, 'pg'), olderDatabase, { recursive: true });
  cpSync(join(original, 'log.sqlite'), olderLog);
  const { erasureId, whole } = await serve(original, async (api) => {
    await append(api, original, [...later, ...foreign]);
    return {
      erasureId: await erase(api, original),
      whole: await figuresOf(api, original),
    };
  });
  assert.ok(whole.size > 10);

  return {
    folder,
    original,
    olderDatabase,
    olderLog,
    foreign,
    ...processes,
    copied: (name) => {
      const dataFolder = join(folder, name);
      cpSync(original, dataFolder, { recursive: true });
      return dataFolder;
    },
    assertWhole: async (dataFolder, sentAgain = []) => {
      const again = await repair(dataFolder, '--dry-run');
      assert.deepEqual([again.exitCode, jsonLine<Report>(again).findings], [0, []]);
      const sent = [...known, ...later, ...foreign, ...erased];
      const outcomes = await serve(dataFolder, async (api) => {
        const answers = await append(api, dataFolder, sent);
        await completed(api, dataFolder, erasureId);
        assert.deepEqual(await figuresOf(api, dataFolder), whole);
        return answers;
      });
      const expected = sent.map((event) => expectedOutcome(event, sentAgain));
      assert.deepEqual(outcomes, expected);
      assert.deepEqual(await violationsIn(dataFolder), []);
    },
    remove: async () => {
      await keeper.stopAll();
      removeFolder(folder);
    },
  };
}

type Processes = Pick<RepairWorld, 'serve' | 'refusedStart' | 'repair' | 'mend'>;

function createProcesses(keeper: ProcessKeeper, logFile: string): Processes {
  const repair: Processes['repair'] = async (dataFolder, ...args) =>
    await runLethe(keeper, ['repair', '--data', dataFolder, '--json', ...args]);
  return {
    repair,
    serve: async (dataFolder, work) => {
      const server = await startServer(keeper, { dataFolder, logFile });
      const api = openApi(server.address);
      try {
        return await work(api);
      } finally {
        api.close();
        await server.stop();
      }
    },
    refusedStart: async (dataFolder) =>
      await startServer(keeper, { dataFolder, logFile }).then(
        () => assert.fail('it started'),
        (error: unknown) =>
          error instanceof NotStarted ? error.reason : assert.fail(String(error)),
      ),
    mend: async (dataFolder) => {
      const result = await repair(dataFolder, '--yes');
      assert.equal(result.exitCode, 0, `${result.stdout}${result.stderr}`);
      return jsonLine<Report>(result);
    },
  };
}

function expectedOutcome(event: NewTicketEvent, sentAgain: readonly NewTicketEvent[]) {
  if (erased.includes(event)) return AppendOutcome.APPEND_OUTCOME_ERASED;
  return sentAgain.includes(event)
    ? AppendOutcome.APPEND_OUTCOME_ACCEPTED
    : AppendOutcome.APPEND_OUTCOME_DUPLICATE;
}

function tokenOf(dataFolder: string): string {
  const roles = ['writer', 'reader', 'privacy-officer'];
  return mintOf(dataFolder).mint({ tenant: tenantId, roles });
}

async function register(api: Api, dataFolder: string): Promise<void> {
  const settings = {
    region: 'test',
    retentionDays: 400,
    returningPersons: ReturningPersons.RETURNING_PERSONS_ALLOW,
  };
  const admin = mintOf(dataFolder).mint({ roles: ['platform-admin'] });
  await api.unary(registerTenant, { tenantId, settings }, admin);
}

async function append(api: Api, dataFolder: string, events: readonly NewTicketEvent[]) {
  const { appendTicketEvents } = TicketServiceService;
  const request = { events: [...events] };
  const { results } = await api.unary(appendTicketEvents, request, tokenOf(dataFolder));
  return results.map(({ outcome }) => outcome);
}

async function figuresOf(api: Api, dataFolder: string): Promise<Figures> {
  const token = tokenOf(dataFolder);
  await figuresComplete(api, token, Grain.GRAIN_TOTAL);
  return await allFigures(api, token, Grain.GRAIN_DAY);
}

async function erase(api: Api, dataFolder: string): Promise<string> {
  const request = RequestErasureRequest.fromPartial({
    person: { $case: 'personId', value: 'requester-3' },
    ground: ErasureGround.ERASURE_GROUND_CONSENT_WITHDRAWN,
  });
  const { erasure } = await api.unary(requestErasure, request, tokenOf(dataFolder));
  const erasureId = erasure?.erasureId ?? assert.fail('nothing was erased');
  await completed(api, dataFolder, erasureId);
  return erasureId;
}

const waitMaxMs = 60_000;
const pollMs = 100;

async function completed(api: Api, dataFolder: string, erasureId: string): Promise<void> {
  for (let waitedMs = 0; waitedMs < waitMaxMs; waitedMs += pollMs) {
    const { erasure } = await api.unary(getErasure, { erasureId }, tokenOf(dataFolder));
    if (erasure?.state === ErasureState.ERASURE_STATE_COMPLETED) return;
    await delay(pollMs);
  }
  assert.fail('the erasure does not come to its end');
}
