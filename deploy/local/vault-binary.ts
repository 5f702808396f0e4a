import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { cachedTool, findTool, installTool, type ToolPlaces } from './prebuilt-tool.ts';

/** The version that is built; every version with the same Transit API does. */
export const vaultVersion = '1.21.4';

/** The sdk that Vault 1.21.4 was made with is no module version; this one differs in two signatures, see `patchSdk`. */
const sdkVersion = 'v0.21.0';

/** The binary, or undefined when it is neither among the tools nor in the cache. */
export function findVault(places: ToolPlaces): string | undefined {
  return findTool(places, 'vault', vaultVersion);
}

/**
 * Builds Vault from Go modules into the cache: 8 minutes on two idle cores, 25 were
 * measured beside much else; needs Go 1.25.3 and its module proxy. The build
 * is Vault's "minimal": Transit and AppRole are in it, the Kubernetes login is not.
 */
export async function buildVault(cache: string): Promise<string> {
  const source = path.join(cache, `vault-${vaultVersion}-source`);
  mkdirSync(source, { recursive: true });
  const run = promisify(execFile);
  // `env` adds to the environment that is inherited; `nice` leaves the machine usable meanwhile.
  const go = (...args: string[]) =>
    run('env', ['GOFLAGS=-p=2', 'GOTOOLCHAIN=local', 'nice', 'go', ...args], {
      cwd: source,
      maxBuffer: 64 * 1024 * 1024,
    });
  writeFileSync(path.join(source, 'go.mod'), goModule);
  writeFileSync(path.join(source, 'main.go'), goMain);
  patchSdk(await downloadSdk(source), path.join(source, 'sdk'));
  // -e: imports of some tests cannot be resolved, and nothing here needs them.
  await go('mod', 'tidy', '-e');
  const built = path.join(source, `vault.${process.pid}`);
  await go('build', '-tags', 'minimal', '-trimpath', '-ldflags', '-s -w', '-o', built, '.');
  return installTool(built, cachedTool(cache, 'vault', vaultVersion));
}

/** The folder in Go's module cache. Asked from a folder of its own: the module around Vault refers to the patched copy. */
async function downloadSdk(source: string): Promise<string> {
  const module = `github.com/hashicorp/vault/sdk@${sdkVersion}`;
  const cwd = path.dirname(source);
  const { stdout } = await promisify(execFile)('go', ['mod', 'download', '-json', module], { cwd });
  return (JSON.parse(stdout) as { readonly Dir: string }).Dir;
}

// Vault's own go.mod has replacements by folder, so `go install vault@version` refuses: a module around it repeats
// those that matter.
const goModule = `module lethe.dev/vault

go 1.25.3

require github.com/hashicorp/vault v${vaultVersion}

replace github.com/hashicorp/vault/sdk => ./sdk

replace github.com/99designs/keyring => github.com/Jeffail/keyring v1.2.3

replace github.com/ma314smith/signedxml v1.1.1 => github.com/moov-io/signedxml v1.1.1
`;

const goMain = `package main

import (
	"os"

	"github.com/hashicorp/vault/command"
)

func main() { os.Exit(command.Run(os.Args[1:])) }
`;

function patchSdk(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  cpSync(from, to, { recursive: true });
  execFileSync('chmod', ['-R', 'u+w', to]);
  edit(path.join(to, 'helper/keysutil/lock_manager.go'), (text) => {
    const start = text.indexOf('func (lm *LockManager) RestorePolicy(');
    const end = text.indexOf('\n}\n', start);
    if (start < 0 || end < 0) throw new Error('the Vault sdk has no RestorePolicy');
    const restored = text
      .slice(start, end)
      .replace('force bool) error {', 'force bool) (string, error) {')
      .replaceAll('return err\n', 'return "", err\n')
      .replaceAll(/return (fmt|errwrap)\./g, 'return "", $1.')
      .replaceAll('\n\treturn nil', '\n\treturn name, nil');
    return text.slice(0, start) + restored + text.slice(end);
  });
  edit(path.join(to, 'framework/backend.go'), (text) =>
    text.replace(
      'ActivationFunc func(context.Context, *logical.Request, string) error',
      'ActivationFunc func(context.Context, *logical.Request) error',
    ),
  );
}

function edit(file: string, change: (text: string) => string): void {
  writeFileSync(file, change(readFileSync(file, 'utf8')));
}
