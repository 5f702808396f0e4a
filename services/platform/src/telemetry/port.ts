import type { AttributeName, Attributes } from './attributes.ts';
import type { MetricDefinition, MetricTable } from './metric-table.ts';
import type { TraceContext } from './trace-context.ts';

/**
 * What a service tells about how it runs: metrics of declared tables and spans of declared names, with attributes of one
 * list. Nothing here throws, waits for a collector or changes what is done; `noTelemetry` does nothing at all.
 */
export interface Telemetry {
  /** False: whoever would wrap something for measuring leaves it as it is. */
  readonly isOn: boolean;
  meter<Table extends MetricTable>(table: Table): Meter<Table>;
  /** Runs work in a span, which ends with it; spans that the work begins are children of it. */
  inSpan<Result>(span: SpanToBegin, work: (span: OpenSpan) => Promise<Result>): Promise<Result>;
  /** For work that no one function surrounds: the caller ends it. */
  begin(span: SpanToBegin): OpenSpan;
  /** Where the running code is, when that trace is sampled. */
  current(): TraceContext | undefined;
}

type NamesOf<Table extends MetricTable, Kind extends MetricDefinition['kind']> = {
  [Name in keyof Table]: Table[Name]['kind'] extends Kind ? Name : never;
}[keyof Table] &
  string;

type AttributesOf<Table extends MetricTable, Name extends keyof Table> = Attributes<
  Table[Name]['attributes'][number] & AttributeName
>;

/** The instruments of one table. */
export interface Meter<Table extends MetricTable> {
  add<Name extends NamesOf<Table, 'counter'>>(
    name: Name,
    by: number,
    attributes: AttributesOf<Table, Name>,
  ): void;
  record<Name extends NamesOf<Table, 'histogram'>>(
    name: Name,
    value: number,
    attributes: AttributesOf<Table, Name>,
  ): void;
  /** Asked at each export, until the telemetry stops. One that throws is not exported that time. */
  observe<Name extends NamesOf<Table, 'gauge'>>(name: Name, look: Look<Table, Name>): void;
}

export type Look<Table extends MetricTable, Name extends keyof Table> = () =>
  Observations<AttributesOf<Table, Name>> | Promise<Observations<AttributesOf<Table, Name>>>;

type Observations<Allowed> = readonly { readonly value: number; readonly attributes: Allowed }[];

/** The spans that there are; one of a call, unary or stream, is named by its method. */
export const spanNames = [
  'rpc server',
  'rpc client',
  'rpc message',
  'append',
  'relay publish',
  'consume',
  'project chunk',
  'ledger insert',
  'kms call',
] as const;

export type SpanName = (typeof spanNames)[number];

export interface SpanToBegin {
  readonly name: SpanName;
  readonly kind: 'server' | 'client' | 'producer' | 'consumer' | 'internal';
  readonly attributes?: Attributes;
  /** The caller's, of a call between services. */
  readonly parent?: TraceContext | undefined;
  /**
   * Of a batch: the sampled traces whose events are in it. One alone is the span's parent; of several it has links. Of
   * none, nothing is recorded.
   */
  readonly batchOf?: readonly TraceContext[];
  /**
   * Of one of many in something long: a trace of its own, which is recorded or not like any that begins here, with a link
   * to the span that the code runs in.
   */
  readonly isOwnTrace?: boolean;
}

export interface OpenSpan {
  set(attributes: Attributes): void;
  /** Runs a part of the work: spans that it begins are children of this one. */
  within<Result>(work: () => Promise<Result>): Promise<Result>;
  /** With the failure that ended it: its reason is kept, and nothing else. Idempotent. */
  end(failure?: unknown): void;
}

/** A span that nobody records. */
export const noSpan: OpenSpan = {
  set: () => undefined,
  within: async (work) => await work(),
  end: () => undefined,
};

const noMeter = { add: () => undefined, record: () => undefined, observe: () => undefined };

/** Telemetry that is off. */
export const noTelemetry: Telemetry = {
  isOn: false,
  meter: () => noMeter,
  inSpan: async (_span, work) => await work(noSpan),
  begin: () => noSpan,
  current: () => undefined,
};
