import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Runs the docker command; answers what it says. Throws with what it complains about. */
export type DockerCommand = (...args: readonly string[]) => Promise<string>;

const run = promisify(execFile);
const outputBytesMax = 64 * 1024 * 1024;

/** `host` as DOCKER_HOST wants it; undefined: the machine's own daemon. */
export function dockerCommand(host: string | undefined): DockerCommand {
  const at = host === undefined ? [] : ['--host', host];
  return async (...args) => {
    try {
      const { stdout } = await run('docker', [...at, ...args], { maxBuffer: outputBytesMax });
      return stdout.trim();
    } catch (error) {
      const { stderr, stdout } = error as { readonly stderr?: string; readonly stdout?: string };
      const said = `${stdout ?? ''}\n${stderr ?? ''}`.trim().slice(-3_000);
      throw new Error(`docker ${args[0]} failed: ${said}`, { cause: error });
    }
  };
}
