import type { EventRules } from '@lethe/platform/event-store/event-rules.ts';
import { between, optional, required } from '@lethe/platform/event-store/field-rules.ts';
import {
  ErrorClass,
  Feature,
  Plan,
  Region,
  Unit,
  UsageResult,
} from '@lethe/proto/gen/lethe/usage/v1/enums.ts';
import type { AnyUsageEvent } from '../usage-events.ts';

const quantity = {
  plan: optional(Plan),
  region: optional(Region),
  quantityMilli: between(0, Number.MAX_SAFE_INTEGER),
  unit: optional(Unit),
};

const use = {
  ...quantity,
  feature: required(Feature),
  result: optional(UsageResult),
  errorClass: optional(ErrorClass),
};

/** What callers' usage events must keep. */
export const usageEventRules: EventRules<AnyUsageEvent> = {
  featureUsed: { facts: use, required: ['user'] },
  apiCalled: { facts: use, required: ['user'] },
  seatActive: { facts: quantity, required: ['user'] },
  exportRun: { facts: use, required: ['user'] },
  automationRun: { facts: use, required: ['user'] },
  queryRun: { facts: use, required: ['user'] },
  tokensUsed: { facts: use, required: ['user'] },
};
