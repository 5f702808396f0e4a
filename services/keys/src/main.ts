import { parseTogether } from '@lethe/platform/config/parse-together.ts';
import { runService } from '@lethe/platform/process/run-service.ts';
import { createKeys } from './app.ts';
import { parseConfig, settings } from './config.ts';
import { migrations } from './migrations/migrations.ts';
import { kmsSettings, openKms, parseServerKmsConfig } from './kms/open-kms.ts';

runService(process, {
  name: 'keys',
  calls: ['privacy'],
  hasPublicApi: false,
  // Holders and what they have not acknowledged are known in its memory alone.
  isSole: true,
  settings: [settings, ...kmsSettings],
  parse: (env) =>
    parseTogether('keys', {
      keys: () => parseConfig(env),
      kms: () => parseServerKmsConfig(env),
    }),
  migrations,
  compose: async (config, ports) => {
    const kms = await openKms(config.kms, ports);
    const service = createKeys(config.keys, { ...ports, db: ports.database(), kms });
    return { service, close: async () => await kms.close(), problem: () => kms.problem() };
  },
});
