import { callSeconds, type MetricTable } from '../telemetry/metric-table.ts';

/** Of calls, by OpenTelemetry's conventions for RPC. */
export const rpcMetrics = {
  'rpc.server.call.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'How long unary calls took that were let in; who was refused before is not in it.',
    attributes: ['rpc.system.name', 'rpc.method', 'rpc.response.status_code', 'error.type'],
    boundaries: callSeconds,
  },
  'rpc.client.call.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'How long unary calls to other services took, with what was tried again.',
    attributes: [
      'rpc.system.name',
      'rpc.method',
      'rpc.response.status_code',
      'error.type',
      'lethe.peer',
    ],
    boundaries: callSeconds,
  },
} as const satisfies MetricTable;
