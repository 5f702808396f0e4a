import { fileURLToPath } from 'node:url';

/** The chart as it was at its first version; never changed again, a test holds its digest. */
export const olderChart = fileURLToPath(new URL('fixtures/lethe-0.1.0', import.meta.url));
