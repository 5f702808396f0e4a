import { type Logger, SeverityNumber } from '@opentelemetry/api';
import type { LogCopies } from '../log/logger.ts';
import type { TraceScope } from './trace-scope.ts';

const severities: ReadonlyMap<unknown, SeverityNumber> = new Map([
  ['debug', SeverityNumber.DEBUG],
  ['info', SeverityNumber.INFO],
  ['warn', SeverityNumber.WARN],
  ['error', SeverityNumber.ERROR],
  ['fatal', SeverityNumber.FATAL],
]);

/** Fields of a line that have a place of their own in a log record. */
const placed: ReadonlySet<string> = new Set(['level', 'time', 'msg', 'trace_id', 'span_id']);

/** Sends copies of log lines: what was written, field for field, and so under the logger's allow-list. */
export function createLogExport(logger: Logger, scope: TraceScope): LogCopies {
  return {
    traceFields: () => {
      const current = scope.current();
      return current === undefined ? {} : { trace_id: current.traceId, span_id: current.spanId };
    },
    copy: (line) => {
      const fields: unknown = JSON.parse(line);
      if (typeof fields !== 'object' || fields === null) return;
      const all = Object.entries(fields);
      const own = all.filter(([name]) => !placed.has(name));
      const { level, msg } = Object.fromEntries<unknown>(all);
      const context = scope.active();
      logger.emit({
        severityNumber: severities.get(level) ?? SeverityNumber.UNSPECIFIED,
        severityText: String(level),
        body: String(msg),
        attributes: Object.fromEntries(own.map(([name, value]) => [`lethe.${name}`, text(value)])),
        ...(context === undefined ? {} : { context }),
      });
    },
  };
}

function text(value: unknown): string | number | boolean {
  const isPlain = typeof value === 'string' || typeof value === 'number';
  return isPlain || typeof value === 'boolean' ? value : JSON.stringify(value);
}
