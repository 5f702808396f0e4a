import { median } from '../bench/pairs.ts';

/** Whether memory stays flat, by a rule that a single collection or a single peak does not decide. */

/** One look at a running server. */
export interface MemorySample {
  /** Seconds since the first event. */
  readonly atS: number;
  /** On the log when the sample was taken. */
  readonly records: number;
  /** Bytes. */
  readonly rss: number;
}

export interface Verdict {
  readonly isFlat: boolean;
  /** MiB of RSS for each 100,000 records more. */
  readonly slopeMib: number;
  readonly limitMib: number;
  /** Samples that the slope is taken over. */
  readonly samples: number;
}

/** What counts as flat: at this slope a day of 100 million records needs 5 GB; a leak of 53 bytes a record is over it. */
export const flatSlopeMaxMib = 5;

/** The first half is warm-up: caches fill, the embedded databases take their memory, code is compiled. */
export const warmUpShare = 0.5;

const mib = 2 ** 20;

/**
 * Theil and Sen's slope of RSS over the records after the warm-up: the median of the slopes of all pairs of samples, so
 * that up to 29 % of the samples may be anything.
 */
export function judge(samples: readonly MemorySample[]): Verdict {
  const last = samples.at(-1)?.records ?? 0;
  const measured = samples.filter(({ records }) => records >= last * warmUpShare);
  const slopes: number[] = [];
  for (const [index, left] of measured.entries()) {
    for (const right of measured.slice(index + 1)) {
      const records = right.records - left.records;
      if (records > 0) slopes.push((right.rss - left.rss) / mib / (records / 100_000));
    }
  }
  if (slopes.length === 0) throw new RangeError('too few samples after the warm-up');
  const slopeMib = median(slopes);
  return {
    isFlat: slopeMib <= flatSlopeMaxMib,
    slopeMib,
    limitMib: flatSlopeMaxMib,
    samples: measured.length,
  };
}
