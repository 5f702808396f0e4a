import { label, observations, series } from '../../deploy/telemetry/catalogue.ts';
import { type AlertCase, of } from './alert-case.ts';

const lease = (status: string, method = 'Lease') =>
  of(observations('rpc.client.call.duration'), {
    job: 'lethe/tickets',
    [label('rpc.method')]: `lethe.keys.v1.KeyService/${method}`,
    [label('rpc.response.status_code')]: status,
  });
const lookup = (result: string) =>
  of(series('lethe.lease.lookups'), {
    job: 'lethe/analytics',
    [label('lethe.lease.purpose')]: 'open',
    [label('lethe.lease.result')]: result,
  });

/** Of LetheLeaseFailures: calls that fail, and leases that are refused without one. */
export const leaseAlertCases: readonly AlertCase[] = [
  {
    alert: 'LetheLeaseFailures',
    fires: [
      [lease('OK'), '0+90x30'],
      [lease('UNAVAILABLE'), '0+10x30'],
    ],
    at: '20m',
    labels: { job: 'lethe/tickets' },
    summary: 'lethe/tickets fails to lease keys in 10% of attempts.',
    quiet: [
      [lease('OK'), '0+99x30'],
      [lease('UNAVAILABLE'), '0+1x30'],
    ],
  },
  {
    // Nothing is appended without a token key, so nothing else is leased either.
    alert: 'LetheLeaseFailures',
    fires: [
      [lease('OK'), '900x30'],
      [lease('UNAVAILABLE', 'LeaseTokenKey'), '0+10x30'],
    ],
    at: '20m',
    labels: { job: 'lethe/tickets' },
    summary: 'lethe/tickets fails to lease keys in 100% of attempts.',
    // Somebody has a token of a tenant that there is not.
    quiet: [
      [lease('OK', 'LeaseTokenKey'), '0+1x30'],
      [lease('NOT_FOUND', 'LeaseTokenKey'), '0+10x30'],
    ],
  },
  {
    // The watch for revocations is down: no call is made.
    alert: 'LetheLeaseFailures',
    fires: [
      [lease('OK'), '900x30'],
      [lookup('hit'), '0+90x5 450x20'],
      [lookup('failed'), '0x5 0+10x20'],
    ],
    at: '16m',
    labels: { job: 'lethe/analytics' },
    summary: 'lethe/analytics fails to lease keys in 100% of attempts.',
    // `keys` was replaced: two minutes in which everybody tried again and again.
    quiet: [
      [lookup('hit'), '0+90x10 900 900 990+90x10'],
      [lookup('failed'), '0x10 2500 5000 5000x10'],
    ],
  },
];
