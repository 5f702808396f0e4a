import { toolPlaces } from '../../deploy/local/prebuilt-tool.ts';
import { buildVault, findVault } from '../../deploy/local/vault-binary.ts';

/** Undefined where it would have to be built and `build` is false. */
export async function vaultBinary(build: boolean): Promise<string | undefined> {
  const places = toolPlaces(process.env);
  const found = findVault(places);
  if (found !== undefined || !build) return found;
  console.log('    building Vault from Go modules: about 8 minutes, once');
  return await buildVault(places.cache);
}
