import { pino, type DestinationStream, type Logger } from 'pino';

export type { Logger } from 'pino';

/**
 * The fields a log line may carry, beside level, time and message. Everything else is dropped before it is
 * written: ids, names of code, counts and times; never a request, a value or an error's cause.
 */
const allowedFields: ReadonlySet<string> = new Set([
  'service',
  'component',
  'method',
  'code',
  'reason',
  'tenant',
  'topic',
  'partition',
  'sequence',
  'offset',
  'erasure',
  'manifest',
  'attempt',
  'count',
  'rows',
  'records',
  'durationMs',
  'delayMs',
  'address',
  'version',
  'signal',
  'problem',
]);

export interface LoggerOptions {
  readonly service: string;
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** Where lines go; standard output when absent. */
  readonly destination?: DestinationStream;
}

/** JSON lines with an allow-list of fields; a field that is not on it is dropped and its name is listed. */
export function createLogger(options: LoggerOptions): Logger {
  const settings = {
    level: options.level,
    base: { service: options.service },
    formatters: {
      level: (label: string) => ({ level: label }),
      log: onlyAllowed,
    },
    timestamp: pino.stdTimeFunctions.isoTime,
  };
  return options.destination === undefined ? pino(settings) : pino(settings, options.destination);
}

function onlyAllowed(fields: Record<string, unknown>): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  const dropped: string[] = [];
  for (const [name, value] of Object.entries(fields)) {
    if (allowedFields.has(name) && isPlain(value)) kept[name] = plain(value);
    else dropped.push(name);
  }
  return dropped.length === 0 ? kept : { ...kept, dropped };
}

type Plain = string | number | boolean | bigint;

function isPlain(value: unknown): value is Plain {
  return ['string', 'number', 'boolean', 'bigint'].includes(typeof value);
}

function plain(value: Plain): string | number | boolean {
  return typeof value === 'bigint' ? value.toString() : value;
}
