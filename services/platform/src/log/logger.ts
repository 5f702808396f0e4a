import { type Bindings, type DestinationStream, type Logger, pino } from 'pino';
import { failureFields } from '../errors/failure.ts';

export type { Logger } from 'pino';

/**
 * The fields a log line may carry, beside level, time and message. Everything else is dropped before it is
 * written: ids, names of code, counts and times; never a request, a value or an error's cause.
 */
export const allowedLogFields = [
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
] as const;

const allowedFields: ReadonlySet<string> = new Set(allowedLogFields);

export interface LoggerOptions {
  readonly service: string;
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** Where lines go; standard output when absent. */
  readonly destination?: DestinationStream;
  /** Where copies of them go, and which trace they are of. */
  readonly copies?: LogCopies;
}

/** Takes a copy of each line as it was written. */
export interface LogCopies {
  copy(line: string): void;
  /** `trace_id` and `span_id` of the running code, or nothing. */
  traceFields(): Readonly<Record<string, string>>;
}

/**
 * JSON lines with an allow-list of fields, of children's too; a field that is not on it is dropped and its name is
 * listed. What a child names again, such as `service`, replaces what its parent says.
 */
export function createLogger(options: LoggerOptions): Logger {
  const settings: pino.LoggerOptions = {
    level: options.level,
    base: null,
    formatters: { level: (label) => ({ level: label }) },
    hooks: {
      // Before pino looks at them: it makes the message of a line that has none out of an error's, and puts what
      // follows a message into its placeholders.
      logMethod(args: unknown[], method) {
        const [first, second] = args;
        const [fields, message] = typeof first === 'string' ? [{}, first] : [first, second];
        method.call(this, line(fields), typeof message === 'string' ? message : '');
      },
    },
    timestamp: pino.stdTimeFunctions.isoTime,
  };
  const { destination } = options;
  const root =
    destination === undefined && options.copies === undefined
      ? pino(settings)
      : copying(settings, destination ?? pino.destination(1), options.copies);
  const childOfRoot = root.child.bind(root);
  // Every logger is a child of the root: pino writes a field of a parent and of its child both, and as it was given.
  const carrying = (carried: Bindings): Logger =>
    Object.assign(childOfRoot(carried), {
      child: (fields: Bindings) => carrying({ ...carried, ...onlyAllowed(fields).kept }),
    });
  return carrying({ service: options.service });
}

function copying(
  settings: pino.LoggerOptions,
  destination: DestinationStream,
  copies: LogCopies | undefined,
): pino.Logger {
  if (copies === undefined) return pino(settings, destination);
  const write = (written: string) => {
    destination.write(written);
    copies.copy(written);
  };
  return pino({ ...settings, mixin: () => copies.traceFields() }, { write });
}

function line(fields: unknown): Record<string, unknown> {
  if (fields instanceof Error) return { ...failureFields(fields) };
  if (typeof fields !== 'object' || fields === null) return {};
  const { kept, dropped } = onlyAllowed(fields);
  return dropped.length === 0 ? kept : { ...kept, dropped };
}

function onlyAllowed(fields: object) {
  const kept: Record<string, unknown> = {};
  const dropped: string[] = [];
  for (const [name, value] of Object.entries(fields)) {
    if (allowedFields.has(name) && isPlain(value)) kept[name] = plain(value);
    else dropped.push(name);
  }
  return { kept, dropped };
}

type Plain = string | number | boolean | bigint;

function isPlain(value: unknown): value is Plain {
  return ['string', 'number', 'boolean', 'bigint'].includes(typeof value);
}

function plain(value: Plain): string | number | boolean {
  return typeof value === 'bigint' ? value.toString() : value;
}
