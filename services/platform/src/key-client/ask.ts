import type { LeasePurpose, ScopeRequest } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { TenantId } from '../ids/ids.ts';
import type { Clock } from '../lifecycle/clock.ts';
import type { Attributes } from '../telemetry/attributes.ts';
import type { CachedLease } from './cached-lease.ts';
import type { LeaseCache } from './lease-cache.ts';
import { leaseOf, type LeaseCalls, type ScopeAnswer } from './leasing.ts';
import type { LeaseRefusal } from './port.ts';

/** How often a request asks again when revocations or other callers' use get in between. */
const attemptsMax = 5;

/** One request in a form that both purposes share. */
export interface Wanted {
  /** Under which the lease is cached. */
  readonly name: string;
  /** Equal for requests that one call answers alike. */
  readonly question: string;
  suffices(lease: CachedLease): boolean;
  encode(held: CachedLease | undefined): ScopeRequest;
  granted?(lease: CachedLease): void;
}

export type Answer = CachedLease | LeaseRefusal;

/** How many leases were wanted, by whether they could be had; also of who was refused before any call. */
export type Looks = Readonly<Record<NonNullable<Attributes['lethe.lease.result']>, number>>;

interface AskParts {
  readonly cache: LeaseCache;
  readonly calls: LeaseCalls;
  readonly clock: Clock;
  readonly isRegistered: () => boolean;
  /** Told how many leases were at hand, and how it went with those that were not. */
  readonly looked?: ((purpose: LeasePurpose, looks: Looks) => void) | undefined;
}

/** The questions that wait for keys, so that many who need one key make one call. */
function createQuestions({ cache, calls, clock, isRegistered }: AskParts) {
  const underway = new Map<string, Promise<ScopeAnswer | undefined>>();
  return {
    answerTo: (question: string) => underway.get(question),
    /** Puts the questions that nobody has asked yet into one call; their answers are then under way. */
    ask: (tenantId: TenantId, purpose: LeasePurpose, wanted: readonly Wanted[]): void => {
      const byQuestion = new Map(wanted.map((one) => [one.question, one]));
      const fresh = [...byQuestion.values()].filter(({ question }) => !underway.has(question));
      if (fresh.length === 0) return;
      if (!isRegistered()) throw new ServiceError('KEYS_UNAVAILABLE');
      const scopes = fresh.map((one) => {
        const held = cache.get(one.name);
        // Also one that ran out: its claim is still there for the same key.
        return one.encode(held?.isEnded === false ? held : undefined);
      });
      const answers = calls.lease(tenantId, purpose, scopes, (answer, index) => {
        const one = fresh[index];
        if (one === undefined) throw new ServiceError('INTERNAL_DEFECT');
        const lease = leaseOf(answer, cache.get(one.name), clock);
        one.granted?.(lease);
        cache.put(one.name, lease);
      });
      fresh.forEach((one, index) => {
        const done = () => underway.delete(one.question);
        const answer = answers.then((all) => all[index]);
        answer.then(done, done);
        underway.set(one.question, answer);
      });
    },
  };
}

/** Answers from the cache, joins questions under way, and asks keys for the rest in one call. */
export function createAsk(parts: AskParts) {
  const { cache, looked } = parts;
  const questions = createQuestions(parts);
  const answersTo = async (
    tenantId: TenantId,
    purpose: LeasePurpose,
    wanted: readonly Wanted[],
    sought: (count: number) => void,
  ): Promise<readonly Answer[]> => {
    const answers = new Map<number, Answer>();
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const open = wanted.flatMap((one, index) => {
        if (answers.has(index)) return [];
        const lease = cache.get(one.name);
        if (lease === undefined || !lease.isFresh || !one.suffices(lease)) return [{ one, index }];
        answers.set(index, lease);
        return [];
      });
      if (attempt === 0) sought(open.length);
      if (open.length === 0) break;
      try {
        const wantedNow = open.map(({ one }) => one);
        questions.ask(tenantId, purpose, wantedNow);
        const waiting = wantedNow.map(async (one) => await questions.answerTo(one.question));
        for (const [nth, result] of (await Promise.all(waiting)).entries()) {
          const index = open[nth]?.index;
          if (index !== undefined && result?.kind === 'refused') answers.set(index, result.refusal);
        }
      } catch (error) {
        takeWhatIsHeld(error, open, answers, cache);
      }
    }
    return wanted.map((_, index) => {
      const answer = answers.get(index);
      if (answer === undefined) throw new ServiceError('KEYS_UNAVAILABLE');
      return answer;
    });
  };
  return async (
    tenantId: TenantId,
    purpose: LeasePurpose,
    wanted: readonly Wanted[],
  ): Promise<readonly Answer[]> => {
    let sought = 0;
    const tell = (miss: number, failed: number) =>
      looked?.(purpose, { hit: wanted.length - sought, miss, failed });
    try {
      const answers = await answersTo(tenantId, purpose, wanted, (count) => (sought = count));
      tell(sought, 0);
      return answers;
    } catch (error) {
      if (isAnswer(error)) tell(sought, 0);
      else tell(0, sought);
      throw error;
    }
  };
}

/** Whether keys is well and knows no such tenant: whoever calls for one must not look like keys that are away. */
function isAnswer(error: unknown): boolean {
  return error instanceof ServiceError && error.code === 'NOT_FOUND';
}

/** While keys is away, what was leased may be used to the end of its term; what was not is an error. */
function takeWhatIsHeld(
  error: unknown,
  open: readonly { one: Wanted; index: number }[],
  answers: Map<number, Answer>,
  cache: LeaseCache,
): void {
  if (!(error instanceof ServiceError && error.reason === 'KEYS_UNAVAILABLE')) throw error;
  for (const { one, index } of open) {
    const lease = cache.get(one.name);
    if (lease === undefined || !lease.isUsable || !one.suffices(lease)) throw error;
    answers.set(index, lease);
  }
}
