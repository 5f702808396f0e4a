import { parseTogether } from '@lethe/platform/config/parse-together.ts';
import { runService } from '@lethe/platform/process/run-service.ts';
import { createPrivacy } from './app.ts';
import { readSigningKey, signingKeySettings } from './certificate/signing-key-config.ts';
import { parseConfig, settings } from './config.ts';
import { migrations } from './migrations/migrations.ts';
import { repairPrivacy } from './repair.ts';

runService(process, {
  name: 'privacy',
  calls: ['keys', 'tickets', 'predictions', 'usage', 'analytics'],
  hasPublicApi: true,
  settings: [settings, signingKeySettings],
  parse: (env) =>
    parseTogether('privacy', {
      privacy: () => parseConfig(env),
      privateJwk: () => readSigningKey(env),
    }),
  migrations,
  compose: async ({ privacy, privateJwk }, ports) => ({
    service: createPrivacy(privacy, {
      ...ports,
      db: ports.database(),
      signingKey: { privateJwk },
    }),
  }),
  repair: async (_config, ports, wish) => await repairPrivacy(ports, wish),
});
