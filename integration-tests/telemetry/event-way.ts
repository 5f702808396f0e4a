import { parseTraceContext } from '@lethe/platform/telemetry/trace-context.ts';
import type { StoredRecord } from '../harness/stored-log.ts';
import type { ReceivedSpan } from '../harness/otlp-receiver.ts';

/** The spans of one event's way, in its order. */
export interface EventWay {
  /** The call that brought it, or the message of a stream. */
  readonly call: ReceivedSpan;
  /** The call's stream; undefined for a unary call. */
  readonly stream: ReceivedSpan | undefined;
  readonly append: ReceivedSpan;
  readonly publish: ReceivedSpan;
  readonly chunk: ReceivedSpan;
  readonly insert: ReceivedSpan;
}

/**
 * Follows a record that lies on the log through the spans: its own trace context names the append; up from there lies the
 * call; down, as a child or by a link of a batch, what published it and what counted it. Answers what is missing first.
 */
export function wayOf(record: StoredRecord, spans: readonly ReceivedSpan[]): EventWay | string {
  const context = parseTraceContext(record.traceContext);
  if (context === undefined) return 'the record has no trace';
  const append = spans.find(({ spanId }) => spanId === context.spanId);
  if (append?.name !== 'append') return 'no span of its append';
  return wayFrom(append, spans, (span) => holds(span, record));
}

/** The same of any event of an append; `publishes` says which batches of the relay count. */
export function wayFrom(
  append: ReceivedSpan,
  spans: readonly ReceivedSpan[],
  publishes: (span: ReceivedSpan) => boolean = () => true,
): EventWay | string {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const call = byId.get(append.parentId);
  if (call?.kind !== 'server') return 'the append lies in no call';
  const stream = call.links.map((id) => byId.get(id)).find((span) => span?.kind === 'server');
  if (call.name === 'rpc message' && stream === undefined) return 'the message lies in no stream';
  const follows = ({ parentId, links }: ReceivedSpan) =>
    parentId === append.spanId || links.includes(append.spanId);
  const publish = spans.find(
    (span) => span.name === 'relay publish' && follows(span) && publishes(span),
  );
  if (publish === undefined) return 'no span of its way to the log';
  const chunk = spans.find((span) => span.name === 'project chunk' && follows(span));
  if (chunk === undefined) return 'no span of its projection';
  const insert = spans.find(
    ({ name, parentId }) => name === 'ledger insert' && parentId === chunk.spanId,
  );
  if (insert === undefined) return 'no span of its insert into the ledger';
  return { call, stream, append, publish, chunk, insert };
}

/** Whether a relay's batch has the record, by topic, partition and sequences. */
function holds({ values }: ReceivedSpan, { topic, partition, sequence }: StoredRecord): boolean {
  const first = Number(values['lethe.sequence.first']);
  const behind = first + Number(values['messaging.batch.message_count']);
  return (
    values['messaging.destination.name'] === topic &&
    values['messaging.destination.partition.id'] === String(partition) &&
    first <= Number(sequence) &&
    Number(sequence) < behind
  );
}

/** Spans whose parent, or a span that they link to, is not among them; in words. */
export function gapsIn(spans: readonly ReceivedSpan[]): readonly string[] {
  const known = new Set(spans.map(({ spanId }) => spanId));
  return spans.flatMap(({ service, name, parentId, links }) => [
    ...(parentId === '' || known.has(parentId) ? [] : [`${service}: ${name} lacks its parent`]),
    ...links.filter((id) => !known.has(id)).map(() => `${service}: ${name} lacks what it links to`),
  ]);
}

/** A trace as a tree, a line for each span: when it began and how long it took in ms, service, name, attributes. */
export function traceText(spans: readonly ReceivedSpan[]): string {
  const inOrder = spans.toSorted((a, b) => Number(a.startedNs - b.startedNs));
  const known = new Set(spans.map(({ spanId }) => spanId));
  const beganNs = inOrder[0]?.startedNs ?? 0n;
  const lineOf = (span: ReceivedSpan, depth: number) => {
    const [began, took] = [span.startedNs - beganNs, span.endedNs - span.startedNs].map((ns) =>
      (Number(ns) / 1e6).toFixed(1).padStart(7),
    );
    const said = Object.entries(span.values).map(([name, value]) => `${name}=${value}`);
    const links = span.links.length === 0 ? [] : [`${span.links.length} links`];
    const words = [...said.toSorted(), ...links].join(' ');
    return `${began} ${took}  ${'  '.repeat(depth)}${span.service}: ${span.name} ${words}`.trimEnd();
  };
  const below = (parent: string, depth: number): string[] =>
    inOrder
      .filter(({ parentId }) => (known.has(parentId) ? parentId : '') === parent)
      .flatMap((span) => [lineOf(span, depth), ...below(span.spanId, depth + 1)]);
  return below('', 0).join('\n');
}
