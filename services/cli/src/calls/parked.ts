import {
  AnalyticsParkingServiceService,
  type GetParkedStreamResponse,
  type ParkedEvent,
  type ParkedStream,
  type ParkedStreamRef,
  PredictionsParkingServiceService,
  type ReplayParkedStreamsResponse,
} from '@lethe/proto/gen/lethe/parking/v1/service.ts';
import type { Caller } from '../connection/session.ts';

/** The services that park, each with a service of its own for the same questions. */
export const parkingServices = {
  analytics: AnalyticsParkingServiceService,
  predictions: PredictionsParkingServiceService,
} as const;

export type ParkingServiceName = keyof typeof parkingServices;

/** What is parked where. */
export interface FoundStream {
  readonly service: ParkingServiceName;
  readonly stream: ParkedStream;
}

export interface ParkedWish {
  readonly services: readonly ParkingServiceName[];
  /** All when empty. */
  readonly tenantId: string;
  readonly reason: string;
  readonly stream: string;
}

/** How much is parked in one service, whatever the filters. */
export interface ParkedInAll {
  readonly service: ParkingServiceName;
  readonly streams: bigint;
  readonly events: bigint;
}

export interface ParkedAnswer {
  readonly found: readonly FoundStream[];
  readonly inAll: readonly ParkedInAll[];
}

/** Every parked stream that the wish names, page by page. */
export async function listParked(admin: Caller, wish: ParkedWish): Promise<ParkedAnswer> {
  const found: FoundStream[] = [];
  const inAll: ParkedInAll[] = [];
  const { tenantId, reason, stream: token } = wish;
  for (const service of wish.services) {
    const method = parkingServices[service].listParkedStreams;
    let pageToken = '';
    do {
      const request = { tenantId, reason, stream: token, pageSize: 500, pageToken };
      const page = await admin.unary(method, request);
      found.push(...page.streams.map((stream) => ({ service, stream })));
      pageToken = page.nextPageToken;
      if (pageToken === '') {
        inAll.push({ service, streams: page.streamsInAll, events: page.eventsInAll });
      }
    } while (pageToken !== '');
  }
  return { found, inAll };
}

/** How much is parked, without the streams themselves. */
export async function countParked(admin: Caller): Promise<readonly ParkedInAll[]> {
  const inAll: ParkedInAll[] = [];
  for (const service of allParkingServices) {
    const request = { tenantId: '', reason: '', stream: '', pageSize: 1, pageToken: '' };
    const answer = await admin.unary(parkingServices[service].listParkedStreams, request);
    inAll.push({ service, streams: answer.streamsInAll, events: answer.eventsInAll });
  }
  return inAll;
}

export const allParkingServices = Object.keys(parkingServices) as ParkingServiceName[];

/** The events of one stream, at most `eventsMax` of them. */
export async function eventsOf(
  admin: Caller,
  { service, stream }: FoundStream,
  eventsMax: number,
): Promise<readonly ParkedEvent[]> {
  const events: ParkedEvent[] = [];
  let pageToken = '';
  do {
    const request = { ref: stream.ref, pageSize: Math.min(500, eventsMax), pageToken };
    const page: GetParkedStreamResponse = await admin.unary(
      parkingServices[service].getParkedStream,
      request,
    );
    events.push(...page.events);
    pageToken = page.nextPageToken;
  } while (pageToken !== '' && events.length < eventsMax);
  return events.slice(0, eventsMax);
}

/** Replays these streams of one service; an answer after each step. */
export function replayParked(
  admin: Caller,
  service: ParkingServiceName,
  refs: readonly ParkedStreamRef[],
): AsyncIterable<ReplayParkedStreamsResponse> {
  return admin.serverStream(parkingServices[service].replayParkedStreams, { refs: [...refs] });
}
