import { fenceTests } from '../contracts/postgres-fences.ts';

describe('300 fences against concurrent appends on PostgreSQL', function () {
  this.timeout(1_800_000);
  fenceTests(300);
});
