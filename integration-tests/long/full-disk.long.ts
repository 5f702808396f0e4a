/**
 * A full disk at many random moments: `LETHE_DISK_ROUNDS` of them, 6 unless said otherwise, from `LETHE_DISK_SEED`. The
 * suite is that of `npm test`, which takes one.
 */
process.env['LETHE_DISK_ROUNDS'] ??= '6';

await import('../journeys/full-disk.test.ts');
