import { homedir } from 'node:os';
import path from 'node:path';
import { buildVault, findVault } from '../../deploy/local/vault-binary.ts';

/** The tools' folder may be given; what is built or unpacked stays in the cache. */
function places() {
  const { LETHE_TOOLS, XDG_CACHE_HOME } = process.env;
  const cacheRoot = XDG_CACHE_HOME ?? path.join(homedir(), '.cache');
  return { tools: LETHE_TOOLS, cache: path.join(cacheRoot, 'lethe') };
}

/** Undefined where it would have to be built and `build` is false. */
export async function vaultBinary(build: boolean): Promise<string | undefined> {
  const found = findVault(places());
  if (found !== undefined || !build) return found;
  console.log('    building Vault from Go modules: about 8 minutes, once');
  return await buildVault(places().cache);
}
