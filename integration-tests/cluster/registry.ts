import { execFile, type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const port = 5000;

/** As image names have it: in every network in which a registry is served. */
export const registryHost = `127.0.0.1:${port}`;

/** Images on a disk, served in each network that needs them: what one takes in, another gives out. */
export interface Registry {
  /** `inside` makes a command one that runs in the network. Answers once the registry does. */
  serve(inside: (command: readonly string[]) => readonly [string, ...string[]]): Promise<void>;
  stop(): Promise<void>;
}

/** The registry of Docker's distribution, unpacked from Debian's package into the folder. */
export async function unpackRegistry(folder: string): Promise<Registry> {
  mkdirSync(folder, { recursive: true });
  await run('apt-get', ['download', 'docker-registry'], { cwd: folder });
  const packed = readdirSync(folder).find((name) => name.endsWith('.deb'));
  if (packed === undefined) throw new Error('apt-get download left no docker-registry');
  await run('dpkg', ['-x', packed, '.'], { cwd: folder });
  const settings = path.join(folder, 'registry.json');
  writeFileSync(
    settings,
    JSON.stringify({
      version: '0.1',
      log: { level: 'warn' },
      storage: { filesystem: { rootdirectory: path.join(folder, 'images') } },
      http: { addr: registryHost },
    }),
  );
  const children: ChildProcess[] = [];
  const said = openSync(path.join(folder, 'registry.log'), 'w');
  return {
    serve: async (inside) => {
      const server = path.join(folder, 'usr/bin/docker-registry');
      // It is told to end when this process dies, whatever of.
      const tied = ['setpriv', '--pdeathsig', 'TERM', server, 'serve', settings];
      const [program, ...args] = inside(tied);
      const child = spawn(program, args, { stdio: ['ignore', said, said] });
      children.push(child);
      const ended = new AbortController();
      child.once('exit', () => ended.abort());
      child.once('error', () => ended.abort());
      const ask = ['curl', '--silent', '--show-error', '--fail', '--retry', '40'];
      const patiently = ['--retry-connrefused', '--retry-delay', '1'];
      const [asking, ...question] = inside([...ask, ...patiently, `http://${registryHost}/v2/`]);
      try {
        await run(asking, question, { signal: ended.signal });
      } catch (error) {
        const log = readFileSync(path.join(folder, 'registry.log'), 'utf8').slice(-2_000);
        throw new Error(`no registry answers: ${log}`, { cause: error });
      }
    },
    stop: async () => {
      for (const child of children) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        const ended = new Promise((resolve) => child.once('exit', resolve));
        child.kill();
        await ended;
      }
      closeSync(said);
    },
  };
}
