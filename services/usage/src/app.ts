import { createAppendHandlers } from '@lethe/platform/event-store/append-handlers.ts';
import { createEventOwner, type OwnerPorts } from '@lethe/platform/event-store/owner.ts';
import { registerService } from '@lethe/platform/grpc/register.ts';
import type { Service } from '@lethe/platform/lifecycle/service.ts';
import { UsageRebuildServiceService } from '@lethe/proto/gen/lethe/rebuild/v1/service.ts';
import { UsageServiceService } from '@lethe/proto/gen/lethe/usage/v1/service.ts';
import type { UsageConfig } from './config.ts';
import { migrations } from './migrations/migrations.ts';
import { createUsageEventParser } from './rpc/usage-event-parser.ts';
import { usageFamily } from './usage-events.ts';

export type UsagePorts = OwnerPorts;

/** Composes the usage service; nothing runs before `start`. */
export function createUsage(config: UsageConfig, ports: UsagePorts): Service {
  const parser = createUsageEventParser(() => ports.clock.nowMs());
  return createEventOwner(
    {
      family: usageFamily,
      options: config.eventStore,
      migrations,
      rebuildRules: undefined,
      publicApi: (parts) => {
        const { append, stream } = createAppendHandlers(parts, parser);
        return [
          registerService(UsageServiceService, {
            appendUsageEvents: append,
            streamUsageEvents: stream,
          }),
          registerService(UsageRebuildServiceService, { rebuild: parts.rebuild }),
        ];
      },
    },
    ports,
  );
}
