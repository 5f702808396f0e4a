import type { AppendFate } from '../stores/memory-log.ts';

/** The instances that a run may have; life after life under one name. */
export const instanceNames = [
  'keys',
  'privacy',
  'tickets-a',
  'tickets-b',
  'analytics-a',
  'analytics-b',
  'audit-a',
  'audit-b',
] as const;
export type InstanceName = (typeof instanceNames)[number];

type Lost = Exclude<AppendFate, 'answered'>;

/** One thing that goes wrong, from this step of the scheduler on. */
export type Fault = { readonly atStep: number } &
  /** The process ends at whatever await it stands, and comes back later. */
  (
    | { readonly kind: 'crash'; readonly instance: InstanceName; readonly downMs: number }
    /** The next commit of the instance, or its answer, is lost. */
    | { readonly kind: 'commit'; readonly instance: InstanceName; readonly fate: Lost }
    /** The next commit of something sealed is on its way for so long; the process goes on. */
    | { readonly kind: 'slow-commit'; readonly instance: InstanceName; readonly forMs: number }
    /** Its next append is on its way for so long, and its database gives it up meanwhile: a zombie relay. */
    | { readonly kind: 'slow-append'; readonly instance: InstanceName; readonly forMs: number }
    /** Revocations do not reach it. */
    | { readonly kind: 'deaf'; readonly instance: InstanceName; readonly forMs: number }
    /** Neither revocations nor the log reach it, and it goes on with what it has. */
    | { readonly kind: 'cut-off'; readonly instance: InstanceName; readonly forMs: number }
    | { readonly kind: 'append'; readonly instance: InstanceName; readonly fate: Lost }
    | { readonly kind: 'ledger'; readonly instance: InstanceName; readonly fate: Lost }
    /** The next call that the instance makes, or its answer, is lost. */
    | {
        readonly kind: 'call';
        readonly instance: InstanceName;
        readonly fate: 'request-lost' | 'answer-lost';
      }
    /** A client's next call, or its answer, is lost: it asks again. */
    | {
        readonly kind: 'client-call';
        readonly instance: 'client-0' | 'client-1';
        readonly fate: 'request-lost' | 'answer-lost';
      }
    /** The process stands still; beyond a lease's TTL when it is long enough. */
    | { readonly kind: 'pause'; readonly instance: InstanceName; readonly forMs: number }
    /** It stands still, and its database takes it for dead: a zombie once it wakes. */
    | { readonly kind: 'zombie'; readonly instance: InstanceName; readonly forMs: number }
    | { readonly kind: 'break-connections'; readonly instance: InstanceName }
    /** The wall clock of one process. */
    | { readonly kind: 'clock-jump'; readonly instance: InstanceName; readonly byMs: number }
    /** Nobody reaches `keys`. */
    | { readonly kind: 'keys-away'; readonly forMs: number }
    /** The next deliveries of the log to the instance. */
    | {
        readonly kind: 'delivery';
        readonly instance: InstanceName;
        readonly delivery: 'again' | 'fewer' | 'left-out' | 'reassigned';
        readonly times: number;
      }
    | { readonly kind: 'compact' }
    /** The database of tickets as it is now is what it will come back with. */
    | { readonly kind: 'mark-commits' }
    /** It comes back without what it committed since it was marked. */
    | { readonly kind: 'lose-commits' }
  );
