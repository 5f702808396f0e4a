import { join } from 'node:path';
import { findShowcase, type Showcase } from '@lethe/cli/tour/showcase.ts';
import { defaultHelpDesk, type HelpDeskSettings } from '@lethe/cli/generator/help-desk.ts';
import { runLethe, startLethe, type LetheResult } from './lethe.ts';
import { erasedEntries, watchLog, type SeenRecords } from './log-watch.ts';
import { once } from './once.ts';
import { type OtlpReceiver, startOtlpReceiver } from './otlp-receiver.ts';
import { createProcessKeeper, type ProcessKeeper } from './processes.ts';
import { startServer, type RunningServer } from './server.ts';
import { makeFolder, removeFolder } from './temporary-folder.ts';

/** One data folder that was toured, twice, and the server on it; all suites share it, as making it takes long. */
export interface TouredWorld {
  readonly dataFolder: string;
  /** What every server on the folder wrote, at the level debug; but for the tours' own, which is on their stderr. */
  readonly logFile: string;
  /** For further files and folders; goes with the world. */
  readonly folder: string;
  readonly keeper: ProcessKeeper;
  readonly settings: HelpDeskSettings;
  readonly showcase: Showcase;
  /** `lethe up --tour --once` on a fresh folder, and the same again. */
  readonly first: LetheResult;
  readonly second: LetheResult;
  /** What lay on the log during the first; other suites have added to it since. */
  readonly seen: SeenRecords;
  /** What the first told by OpenTelemetry, with every call's trace. */
  readonly telemetry: OtlpReceiver;
  /** Which of these the tour’s erasure took. */
  readonly erased: readonly number[];
  /** The server on the folder, started when it is not running. */
  server(): Promise<RunningServer>;
}

const dayMs = 24 * 60 * 60 * 1000;
/** What the tour does by default, `npm start` itself. */
const settings: HelpDeskSettings = {
  ...defaultHelpDesk,
  anchorMs: Math.floor(Date.now() / dayMs) * dayMs,
};
const ports = ['--port', '0', '--health-port', '0'];

const shared = once(() => {
  const folder = makeFolder();
  const keeper = createProcessKeeper();
  return { folder, keeper, world: tour(folder, keeper) };
});

/** The first call takes as long as a tour; give its hook `touredWorldTimeoutMs`. */
export async function touredWorld(): Promise<TouredWorld> {
  return await shared().world;
}

export const touredWorldTimeoutMs = 600_000;

async function tour(folder: string, keeper: ProcessKeeper): Promise<TouredWorld> {
  const dataFolder = join(folder, 'data');
  const logFile = join(folder, 'server.log');
  const anchor = new Date(settings.anchorMs).toISOString().slice(0, 10);
  const up = ['up', '--tour', '--once', '--data', dataFolder, '--anchor', anchor, ...ports];
  const showcase = findShowcase(settings);
  const telemetry = await startOtlpReceiver();
  const touring = startLethe(keeper, [...up, '--telemetry', telemetry.endpoint], {
    LETHE_LOG_LEVEL: 'debug',
    LETHE_TELEMETRY_INTERVAL_MS: '2000',
  });
  const seen = await watchLog(dataFolder, touring.ended);
  const first = await touring.result;
  await telemetry.close();
  const erased = erasedEntries(dataFolder);
  const second = await runLethe(keeper, [...up, '--json']);
  const servers: RunningServer[] = [];
  return {
    dataFolder,
    logFile,
    folder,
    keeper,
    settings,
    showcase,
    first,
    second,
    seen,
    telemetry,
    erased,
    server: async () => {
      const newest = servers.at(-1);
      if (newest?.isRunning() === true) return newest;
      const server = await startServer(keeper, { dataFolder, logFile });
      servers.push(server);
      return server;
    },
  };
}

// At the root: after the last suite that used it, whichever that is, and also if the tour hangs.
after('the toured world ends', async function () {
  this.timeout(30_000);
  if (!shared.isMade()) return;
  const { folder, keeper } = shared();
  await keeper.stopAll();
  removeFolder(folder);
});
