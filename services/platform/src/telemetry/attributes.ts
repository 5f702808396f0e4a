import { methodAccess, serviceNames } from '@lethe/proto/access.ts';
import { reasons } from '@lethe/proto/reasons.ts';
import { topics } from '@lethe/proto/topics.ts';
import { type ErasureId, isUuidText } from '../ids/ids.ts';

/**
 * What an attribute may hold. There is no rule for text: what a span or a metric can say is a closed list, a number, or
 * an id that Lethe made of random bits.
 */
export interface AttributeRule<Value> {
  /** Whether it may stand on a metric: its values are few. */
  readonly isFew: boolean;
  accepts(value: unknown): value is Value;
}

function oneOf<const Value extends string>(values: readonly Value[]): AttributeRule<Value> {
  const known: ReadonlySet<unknown> = new Set(values);
  return { isFew: true, accepts: (value): value is Value => known.has(value) };
}

const partition: AttributeRule<string> = {
  isFew: true,
  accepts: (value): value is string => typeof value === 'string' && /^\d{1,5}$/.test(value),
};

const count: AttributeRule<number> = {
  isFew: false,
  accepts: (value): value is number => typeof value === 'number',
};

const erasureId: AttributeRule<ErasureId> = {
  isFew: false,
  accepts: (value): value is ErasureId => typeof value === 'string' && isUuidText(value),
};

function keysOf<Key extends string>(table: Readonly<Record<Key, unknown>>): readonly Key[] {
  return Object.keys(table) as Key[];
}

/** Consumer groups and their like: whoever reads the log by itself. */
export const consumerNames = [
  ...serviceNames,
  'predictions-observing',
  'analytics-projection',
] as const;

/** What may have a problem of its own within a service. */
export const componentNames = [
  'consumer',
  'observing',
  'relay',
  'erasure-jobs',
  'receipts',
  'projection',
  'completeness',
  'unreadable-clock',
  'month-closing',
  'erasure-driver',
  'kms',
  'tls',
  'service',
] as const;

/** Codes of gRPC, as they are written in an answer. */
const statusCodes = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;

/** The attributes that there are, with their names of OpenTelemetry's conventions where those have one. */
export const attributeRules = {
  'db.operation.name': oneOf(['INSERT']),
  'db.system.name': oneOf(['clickhouse']),
  'error.type': oneOf(keysOf(reasons)),
  'lethe.append.outcome': oneOf([
    'accepted',
    'duplicate',
    'conflict',
    'erased',
    'unknown_ticket',
    'invalid',
  ]),
  'lethe.certificate.use': oneOf(['internal', 'public']),
  'lethe.component': oneOf(componentNames),
  'lethe.consumer': oneOf(consumerNames),
  'lethe.erasure.id': erasureId,
  'lethe.kms.operation': oneOf(['wrap', 'unwrap', 'rotate', 'destroy_versions', 'destroy_tenant']),
  'lethe.lease.purpose': oneOf(['seal', 'open']),
  'lethe.lease.result': oneOf(['hit', 'miss', 'failed']),
  'lethe.peer': oneOf(serviceNames),
  'lethe.rows': count,
  'lethe.sequence.first': count,
  'lethe.sequence.last': count,
  'messaging.batch.message_count': count,
  'messaging.destination.name': oneOf(topics.map(({ name }) => name)),
  'messaging.destination.partition.id': partition,
  'messaging.operation.name': oneOf(['send', 'process']),
  'messaging.operation.type': oneOf(['send', 'process']),
  'messaging.system': oneOf(['kafka', 'sqlite']),
  'rpc.method': oneOf(keysOf(methodAccess).map((path) => path.slice(1))),
  'rpc.response.status_code': oneOf(statusCodes),
  'rpc.system.name': oneOf(['grpc']),
} as const satisfies Readonly<Record<string, AttributeRule<unknown>>>;

export type AttributeName = keyof typeof attributeRules;

export type AttributeValue<Name extends AttributeName> =
  (typeof attributeRules)[Name] extends AttributeRule<infer Value> ? Value : never;

/** Some of these attributes; a span may have any. */
export type Attributes<Name extends AttributeName = AttributeName> = {
  readonly [Each in Name]?: AttributeValue<Each> | undefined;
};

/**
 * What of `attributes` is on the list, under its rule. The types allow nothing else; this holds where a value was cast,
 * or read from somewhere.
 */
export function onlyAllowed(
  attributes: Attributes,
  names?: readonly AttributeName[],
): Record<string, string | number> {
  const kept: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || !isAttributeName(name)) continue;
    if (names !== undefined && !names.includes(name)) continue;
    const rule: AttributeRule<unknown> = attributeRules[name];
    if (rule.accepts(value) && isPlain(value)) kept[name] = value;
  }
  return kept;
}

function isAttributeName(name: string): name is AttributeName {
  return Object.hasOwn(attributeRules, name);
}

function isPlain(value: unknown): value is string | number {
  return typeof value === 'string' || typeof value === 'number';
}
