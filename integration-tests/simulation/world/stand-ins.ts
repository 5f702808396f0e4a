import { registerService } from '@lethe/platform/grpc/register.ts';
import { SequenceServiceService } from '@lethe/proto/gen/lethe/log/v1/service.ts';
import { ReceiptServiceService } from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { PrivacyEvent } from '@lethe/proto/gen/lethe/privacy/v1/events.ts';
import type { ServiceName } from '@lethe/proto/access.ts';
import type { SimulatedProcess } from '../core/simulated-process.ts';
import type { MemoryLog } from '../stores/memory-log.ts';
import type { SimulatedNetwork } from './network.ts';

const lookEveryMs = 400;

/** Services that are not simulated: their topics are empty, and they have nothing to erase and say so. */
export async function runStandIns(
  network: SimulatedNetwork,
  process: SimulatedProcess,
  log: MemoryLog,
  services: readonly ServiceName[],
): Promise<void> {
  const sequences = registerService(SequenceServiceService, {
    heads: async () => ({ heads: [], asOf: new Date(process.clock.nowMs()) }),
    missing: async () => ({ erased: [] }),
  });
  for (const service of services) network.serve(process, service, [sequences]);
  const done = new Set<string>();
  for (;;) {
    await process.clock.sleep(lookEveryMs);
    for (const { tenantId, erasureId } of erasedOn(log)) {
      for (const service of services) {
        if (done.has(`${erasureId} ${service}`)) continue;
        const sent = await send(network, process, service, tenantId, erasureId);
        if (sent) done.add(`${erasureId} ${service}`);
      }
    }
  }
}

function erasedOn(log: MemoryLog): { readonly tenantId: string; readonly erasureId: string }[] {
  return log.history.flatMap(({ topic, entry }) => {
    if (topic !== 'privacy.v1' || entry.kind !== 'record') return [];
    const { header, clearPayload } = LogRecord.decode(entry.value);
    const { event } = PrivacyEvent.decode(clearPayload);
    if (event?.$case !== 'scopesErased') return [];
    return [{ tenantId: header?.tenantId ?? '', erasureId: event.value.erasureId }];
  });
}

async function send(
  network: SimulatedNetwork,
  process: SimulatedProcess,
  service: ServiceName,
  tenantId: string,
  erasureId: string,
): Promise<boolean> {
  const receipt = {
    service,
    records: 0n,
    rows: 0n,
    boxesUnreadable: 0n,
    ledgerComplete: true,
    finishedAt: new Date(process.clock.nowMs()),
  };
  try {
    const privacy = network.peersFor(process, service)('privacy');
    await privacy.unary(ReceiptServiceService.recordReceipt, { tenantId, erasureId, receipt });
    return true;
  } catch {
    // Privacy is away: the next look sends it.
    return false;
  }
}
