import { collectorBinary } from './collector-binary.ts';

/** Builds the collector unless it is among the tools or in the cache, so that the suites find it; prints where it is. */
console.log(await collectorBinary(true));
