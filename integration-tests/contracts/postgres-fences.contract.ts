import { fenceTests } from './postgres-fences.ts';

describe('60 fences against concurrent appends on PostgreSQL', function () {
  this.timeout(600_000);
  fenceTests(60);
});
