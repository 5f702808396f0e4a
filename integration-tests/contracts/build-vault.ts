import { vaultBinary } from './vault-binary.ts';

/** Builds Vault unless it is among the tools or in the cache, so that the suites find it; prints where it is. */
console.log(await vaultBinary(true));
