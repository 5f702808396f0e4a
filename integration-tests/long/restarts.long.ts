import { describeRestarts } from '../restarts/describe-restarts.ts';
import { fullPlan } from '../restarts/plan.ts';

describeRestarts('100 restarts of six processes', fullPlan);
