import { z } from 'zod';
import { publicLimits, type ServerLimits } from './limits.ts';

const wholeNumber = (min: number, max: number, byDefault: number, meaning: string) =>
  z.coerce.number().int().min(min).max(max).default(byDefault).describe(meaning);

/** The settings of a public port's limits; see ServerLimits and docs/operators/limits.md. */
export const limitSettings = {
  LETHE_CALLS_MAX: wholeNumber(
    1,
    1_000_000,
    publicLimits.callsMax,
    'Calls of clients that are open at a time, streams among them.',
  ),
  LETHE_CALLS_PER_CALLER_MAX: wholeNumber(
    1,
    1_000_000,
    publicLimits.callsPerCallerMax,
    'Of these, by one tenant or operator.',
  ),
  LETHE_STREAMS_PER_CONNECTION_MAX: wholeNumber(
    1,
    10_000,
    publicLimits.streamsPerConnectionMax,
    'Calls that are open on one connection; the client waits with the next.',
  ),
  LETHE_MESSAGE_BYTES_MAX: wholeNumber(
    65_536,
    64 * 1024 * 1024,
    publicLimits.messageBytesMax,
    'Bytes of one message of a client.',
  ),
  LETHE_METADATA_BYTES_MAX: wholeNumber(
    4_096,
    65_536,
    publicLimits.metadataBytesMax,
    'Bytes of the metadata of one call, names and values.',
  ),
  LETHE_SLOW_READER_MS: wholeNumber(
    100,
    3_600_000,
    publicLimits.slowReaderMs,
    'How long the answers of a stream wait for a client that reads nothing.',
  ),
  LETHE_CONNECTION_IDLE_MS: wholeNumber(
    1_000,
    86_400_000,
    publicLimits.connectionIdleMs,
    'After how long a connection without a call is closed.',
  ),
};

type LimitSettings = Readonly<Record<keyof typeof limitSettings, number>>;

export function limitsOf(settings: LimitSettings): ServerLimits {
  return {
    messageBytesMax: settings.LETHE_MESSAGE_BYTES_MAX,
    metadataBytesMax: settings.LETHE_METADATA_BYTES_MAX,
    streamsPerConnectionMax: settings.LETHE_STREAMS_PER_CONNECTION_MAX,
    callsMax: settings.LETHE_CALLS_MAX,
    callsPerCallerMax: settings.LETHE_CALLS_PER_CALLER_MAX,
    slowReaderMs: settings.LETHE_SLOW_READER_MS,
    connectionIdleMs: settings.LETHE_CONNECTION_IDLE_MS,
  };
}
