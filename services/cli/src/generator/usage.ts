import { ErrorClass, Feature, Unit, UsageResult } from '@lethe/proto/gen/lethe/usage/v1/enums.ts';
import { UsageEvent, type DeepPartial } from '@lethe/proto/gen/lethe/usage/v1/events.ts';
import { NewUsageEvent } from '@lethe/proto/gen/lethe/usage/v1/service.ts';
import type { GeneratedPerson } from './people.ts';
import type { SeededRandom, Weighted } from './random.ts';
import type { TenantProfile } from './tenants.ts';
import { sampleArrivalMs, type Period } from './working-time.ts';

type EventCase = NonNullable<DeepPartial<UsageEvent>['event']>;

const kinds: readonly Weighted<EventCase['$case']>[] = [
  ['featureUsed', 60],
  ['apiCalled', 12],
  ['seatActive', 12],
  ['exportRun', 3],
  ['automationRun', 5],
  ['queryRun', 4],
  ['tokensUsed', 4],
];

const agentFeatures: readonly Weighted<Feature>[] = [
  [Feature.FEATURE_TICKET_VIEW, 28],
  [Feature.FEATURE_TICKET_LIST, 17],
  [Feature.FEATURE_REPLY_EDITOR, 16],
  [Feature.FEATURE_SEARCH, 10],
  [Feature.FEATURE_INTERNAL_NOTE, 7],
  [Feature.FEATURE_MACRO, 6],
  [Feature.FEATURE_PREDICTION_PANEL, 5],
  [Feature.FEATURE_DASHBOARD, 4],
  [Feature.FEATURE_REPLY_SUGGESTION, 4],
  [Feature.FEATURE_ESCALATION_BOARD, 3],
];

const endUserFeatures: readonly Weighted<Feature>[] = [
  [Feature.FEATURE_PORTAL, 40],
  [Feature.FEATURE_KNOWLEDGE_BASE, 34],
  [Feature.FEATURE_CHAT, 12],
  [Feature.FEATURE_FORUM, 8],
  [Feature.FEATURE_SURVEY, 6],
];

const results: readonly Weighted<readonly [UsageResult, ErrorClass]>[] = [
  [[UsageResult.USAGE_RESULT_OK, ErrorClass.ERROR_CLASS_UNSPECIFIED], 955],
  [[UsageResult.USAGE_RESULT_DENIED, ErrorClass.ERROR_CLASS_FORBIDDEN], 15],
  [[UsageResult.USAGE_RESULT_DENIED, ErrorClass.ERROR_CLASS_RATE_LIMIT], 10],
  [[UsageResult.USAGE_RESULT_ERROR, ErrorClass.ERROR_CLASS_TIMEOUT], 12],
  [[UsageResult.USAGE_RESULT_ERROR, ErrorClass.ERROR_CLASS_INTERNAL], 8],
];

export interface UsageCast {
  readonly tenant: TenantProfile;
  readonly agents: readonly GeneratedPerson[];
  readonly endUsers: readonly GeneratedPerson[];
}

/** So many uses of the product by agents and end users, in the order of time. */
export function generateUsage(
  random: SeededRandom,
  cast: UsageCast,
  period: Period,
  count: number,
): NewUsageEvent[] {
  const events = Array.from({ length: count }, (_, index) =>
    NewUsageEvent.fromPartial({
      id: { $case: 'sourceId', value: `${cast.tenant.tenantId}/usage/${index + 1}` },
      occurredAt: new Date(sampleArrivalMs(random, period, cast.tenant.utcOffsetH)),
      event: UsageEvent.fromPartial({ event: usageEvent(random, cast) }),
    }),
  );
  return events.toSorted((left, right) => momentOf(left) - momentOf(right));
}

function usageEvent(random: SeededRandom, cast: UsageCast): EventCase {
  const isAgent = random.chance(0.7);
  const people = isAgent ? cast.agents : cast.endUsers;
  const user = people[random.skewedIndex(people.length)]?.profile;
  const feature = random.pickWeighted(isAgent ? agentFeatures : endUserFeatures);
  const { plan, region } = cast.tenant;
  const [result, errorClass] = random.pickWeighted(results);
  const latencyMs = Math.round(random.logNormal(140, 0.9));
  const facts = { feature, plan, region, result, errorClass, latencyMs };
  const once = { quantityMilli: 1000n, unit: Unit.UNIT_COUNT };
  switch (isAgent ? random.pickWeighted(kinds) : 'featureUsed') {
    case 'featureUsed':
      return { $case: 'featureUsed', value: { facts: { ...facts, ...once }, user } };
    case 'apiCalled':
      return {
        $case: 'apiCalled',
        value: { facts: { ...facts, ...once, feature: Feature.FEATURE_API }, user },
      };
    case 'seatActive':
      return { $case: 'seatActive', value: { facts: { plan, region, ...once }, user } };
    case 'exportRun': {
      const rows = {
        quantityMilli: BigInt(random.integer(50, 20_000)) * 1000n,
        unit: Unit.UNIT_ROW,
      };
      return {
        $case: 'exportRun',
        value: { facts: { ...facts, ...rows, feature: Feature.FEATURE_EXPORT }, user },
      };
    }
    case 'automationRun':
      return {
        $case: 'automationRun',
        value: { facts: { ...facts, ...once, feature: Feature.FEATURE_AUTOMATION_RULE }, user },
      };
    case 'queryRun':
      return {
        $case: 'queryRun',
        value: { facts: { ...facts, ...once, feature: Feature.FEATURE_REPORT }, user },
      };
    case 'tokensUsed': {
      const tokens = {
        quantityMilli: BigInt(random.integer(200, 4000)) * 1000n,
        unit: Unit.UNIT_INPUT_TOKEN,
      };
      return {
        $case: 'tokensUsed',
        value: { facts: { ...facts, ...tokens, feature: Feature.FEATURE_SUMMARY }, user },
      };
    }
  }
}

function momentOf(event: NewUsageEvent): number {
  return event.occurredAt?.getTime() ?? 0;
}
