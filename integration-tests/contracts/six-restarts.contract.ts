import { describeRestarts } from '../restarts/describe-restarts.ts';
import { shortPlan } from '../restarts/plan.ts';

describeRestarts('12 restarts of six processes', shortPlan);
