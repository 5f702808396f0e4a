import assert from 'node:assert/strict';
import {
  MetricDefinition,
  MetricKind,
  QueryMetricResponse,
} from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import { PersonKind } from '@lethe/proto/gen/lethe/people/v1/person.ts';
import { TranscriptEntry } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { bar, formatCount, formatDuration } from '../output/numbers.ts';
import { createStyle } from '../output/style.ts';
import { wrapText } from '../output/wrap.ts';
import { isUnreadable } from '../tour/transcript-step.ts';
import { catalogueText } from './metric-catalogue.ts';
import { metricText } from './metric-table.ts';
import { differingMetrics } from './totals.ts';
import { transcriptText } from './transcript.ts';

const plain = createStyle(false);
const occurredAt = new Date(Date.UTC(2024, 7, 3, 9, 14));
const agent = { kind: PersonKind.PERSON_KIND_AGENT, naturalId: 'agent-1', name: 'Orianne Example' };
const reply = TranscriptEntry.fromPartial({
  type: 'MessageAdded',
  occurredAt,
  event: {
    event: {
      $case: 'messageAdded',
      value: { facts: { isPublic: true }, content: { body: 'Here\nyou are.' }, author: agent },
    },
  },
});
const erasedReply = TranscriptEntry.fromPartial({
  type: 'MessageAdded',
  occurredAt,
  event: { event: { $case: 'messageAdded', value: { facts: { isPublic: true } } } },
  erasedParts: ['content', 'author'],
});

describe('a transcript', () => {
  it('says who wrote what and when', () => {
    assert.equal(
      transcriptText([reply], plain, { widthMax: 80 }),
      '  2024-08-03 09:14  public reply  Orianne Example\n      Here you are.\n',
    );
  });

  it('breaks and cuts long texts', () => {
    assert.deepEqual(wrapText('one two three four', 9), ['one two', 'three', 'four']);
    assert.deepEqual(wrapText('one two three four', 9, 2), ['one two', 'three …']);
    assert.deepEqual(wrapText('', 9), []);
  });

  it('shows erased parts as erased', () => {
    assert.equal(
      transcriptText([erasedReply], plain, { widthMax: 80 }),
      '  2024-08-03 09:14  public reply  [erased]\n      [erased]\n',
    );
  });

  it('counts as unreadable only when no word and no name is left', () => {
    assert.equal(isUnreadable({ kind: 'entries', entries: [erasedReply] }), true);
    assert.equal(isUnreadable({ kind: 'entries', entries: [erasedReply, reply] }), false);
    const onlyName = { ...erasedReply, erasedParts: ['content'], event: reply.event };
    assert.equal(isUnreadable({ kind: 'entries', entries: [onlyName] }), false);
    assert.equal(isUnreadable({ kind: 'refused', reason: 'TICKET_ERASED' }), true);
    assert.equal(isUnreadable({ kind: 'refused', reason: 'TICKET_UNKNOWN' }), false);
  });
});

describe('figures', () => {
  it('stand in aligned columns with bars and the mark up to which they are complete', () => {
    const answer = QueryMetricResponse.fromPartial({
      metricId: 'created',
      metricVersion: 1,
      completeUpTo: new Date(Date.UTC(2024, 7, 10)),
      late: 2n,
      rows: [
        { dimensions: [{ dimension: 'channel', value: 'email' }], exact: 1200n },
        { dimensions: [{ dimension: 'channel', value: 'chat' }], exact: 600n },
      ],
    });
    const definition = MetricDefinition.fromPartial({
      id: 'created',
      kind: MetricKind.METRIC_KIND_COUNT,
    });
    const text = metricText(
      answer,
      definition,
      { dimensions: ['channel'], hasBuckets: false },
      plain,
    );
    assert.match(text, /email +1,200 +█{32}\n/);
    assert.match(text, /chat +600 +█{16}\n/);
    assert.match(text, /complete up to 2024-08-10 00:00:00 UTC, of these 2 late/);
  });

  it('are means where the metric is one', () => {
    const answer = QueryMetricResponse.fromPartial({
      metricId: 'csat',
      rows: [{ exact: 4n, exactSum: 17n }],
    });
    const definition = MetricDefinition.fromPartial({
      id: 'csat',
      kind: MetricKind.METRIC_KIND_MEAN,
    });
    assert.match(
      metricText(answer, definition, { dimensions: [], hasBuckets: false }, plain),
      /4\.25 +4/,
    );
  });

  it('are compared metric by metric', () => {
    const before = { 'created v1': '3', 'solved v1': '2' };
    assert.deepEqual(differingMetrics(before, { ...before }), []);
    assert.deepEqual(differingMetrics(before, { 'created v1': '3' }), ['solved v1']);
    assert.deepEqual(differingMetrics(before, { ...before, 'replies v1': '1' }), ['replies v1']);
  });
});

describe('numbers', () => {
  it('are written as people read them', () => {
    assert.deepEqual([0, 999, 1000, 1234567].map(formatCount), ['0', '999', '1,000', '1,234,567']);
    assert.equal(formatCount(12345678901234567890n), '12,345,678,901,234,567,890');
    const durations = [0, 420, 3_200, 125_000, 3_780_000, 273_600_000].map(formatDuration);
    assert.deepEqual(durations, ['0 ms', '420 ms', '3.2 s', '2 min 05 s', '1 h 03 min', '3 d 4 h']);
    assert.equal(bar(0, 10, 8), '');
    assert.equal(bar(10, 10, 8), '████████');
    assert.equal(bar(0.001, 10, 8), '▏');
  });
});

describe('the catalogue', () => {
  it('names the dimensions of each metric, and the values of each dimension once', () => {
    const channel = { name: 'channel', values: ['email', 'web'] };
    const metrics = ['created', 'solved'].map((id) =>
      MetricDefinition.fromPartial({ id, version: 1, unit: '{ticket}', dimensions: [channel] }),
    );
    const text = catalogueText(metrics, plain);
    assert.equal(text.match(/by +channel\n/g)?.length, 2);
    assert.equal(text.match(/channel +email, web\n/g)?.length, 1);
  });
});
