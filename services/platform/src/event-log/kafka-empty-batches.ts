import { createRequire } from 'node:module';

/** A batch as the client library decodes it, as far as it matters here. */
interface DecodedBatch {
  readonly firstOffset: string;
  readonly lastOffsetDelta: number;
  readonly records: readonly { readonly offset: string }[];
}

type Decode = (bytes: unknown) => Promise<DecodedBatch>;

const decoderFile = 'kafkajs/src/protocol/recordBatch/v0/decoder.js';
const isTaught = Symbol('lethe: decodes what compaction emptied');

/**
 * Compaction leaves a batch without records where a producer's last batch was, and a fetch does not look past the end
 * of a segment. kafkajs 2.2.4 takes such a fetch for "nothing new" and asks for the same offset for ever
 * (https://github.com/tulios/kafkajs/issues/1072). So its decoder is wrapped, once per process and before its first
 * fetch: where records are missing at the end of a batch, a control record stands for them. The library passes those
 * over and goes on behind them. The contract suite stops without this.
 */
export function teachEmptyBatches(): void {
  const require = createRequire(import.meta.url);
  const loaded: unknown = require(decoderFile);
  if (!isDecode(loaded))
    throw new TypeError(`${decoderFile} is another one than that of kafkajs 2.2.4`);
  if (Reflect.has(loaded, isTaught)) return;
  const entry = require.cache[require.resolve(decoderFile)];
  if (entry === undefined) throw new TypeError(`${decoderFile} was not loaded`);
  const decode: Decode = async (bytes) => withEnd(await loaded(bytes));
  entry.exports = Object.assign(decode, { [isTaught]: true });
}

function isDecode(loaded: unknown): loaded is Decode {
  return typeof loaded === 'function';
}

function withEnd(batch: DecodedBatch): DecodedBatch {
  const lastOffset = String(BigInt(batch.firstOffset) + BigInt(batch.lastOffsetDelta));
  if (batch.records.at(-1)?.offset === lastOffset) return batch;
  const { records, ...batchContext } = batch;
  const end = {
    offset: lastOffset,
    isControlRecord: true,
    // Not the key of an abort marker.
    key: null,
    value: null,
    headers: {},
    timestamp: '0',
    attributes: 0,
    batchContext,
  };
  return { ...batch, records: [...records, end] };
}
