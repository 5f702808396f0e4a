import { execFile, execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

/** An environment with packages from PyPI. */
export interface PythonEnvironment {
  /** Of its folder in the cache; names the version that counts. */
  readonly name: string;
  /** Pins every package. */
  readonly requirementsFile: string;
  /** Of Python, where not any from 3.9 on will do: 13 is Python 3.13. */
  readonly minor?: number;
}

/**
 * Answers the interpreter of an environment in the cache, made when it is not there. Throws when there is no such Python,
 * or PyPI cannot be reached.
 */
export async function installPython(
  cache: string,
  { name, requirementsFile, minor }: PythonEnvironment,
): Promise<string> {
  const folder = path.join(cache, name);
  const interpreter = path.join(folder, 'bin', 'python');
  if (existsSync(path.join(folder, 'complete'))) return interpreter;
  const base = findPython(minor);
  if (base === undefined) {
    const wanted = minor === undefined ? 'Python 3.9 or newer' : `Python 3.${minor}`;
    throw new Error(`no ${wanted} with venv, in the path or of pyenv`);
  }
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(`${folder}.`);
  const run = promisify(execFile);
  try {
    await run('nice', [base, '-m', 'venv', work]);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
    const workInterpreter = path.join(work, 'bin', 'python');
    await run('nice', [workInterpreter, ...pip, '-r', requirementsFile]);
    writeFileSync(path.join(work, 'complete'), '');
    renameSync(work, folder);
  } catch (error) {
    rmSync(work, { recursive: true, force: true });
    // Two processes may install at once: the slower one throws its copy away.
    if (!existsSync(path.join(folder, 'complete'))) throw error;
  }
  return interpreter;
}

function findPython(minor: number | undefined): string | undefined {
  const versions = path.join(homedir(), '.pyenv', 'versions');
  const ofPyenv = existsSync(versions)
    ? readdirSync(versions)
        .filter((name) => name.startsWith(`3.${minor ?? ''}`))
        .map((name) => path.join(versions, name, 'bin', 'python3'))
    : [];
  const wanted =
    minor === undefined ? '(3, 9) <= sys.version_info' : `sys.version_info[:2] == (3, ${minor})`;
  // Debian's python3 lacks these two until python3-venv is there.
  const check = `import sys, venv, ensurepip; sys.exit(not (${wanted}))`;
  const named = minor === undefined ? [] : [`python3.${minor}`];
  return [...named, 'python3', ...ofPyenv].find((candidate) => {
    try {
      execFileSync(candidate, ['-c', check], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  });
}
