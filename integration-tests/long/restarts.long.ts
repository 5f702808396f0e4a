import { describeRestarts } from '../restarts/describe-restarts.ts';
import { fullPlan } from '../restarts/plan.ts';

// The bound is the one that is promised.
describeRestarts('100 restarts of six processes', fullPlan, { drainP99Ms: 10_000 });
