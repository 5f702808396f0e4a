import { describeFaults } from '../faults/describe-faults.ts';

describeFaults('six processes under a tenth of the faults', 0.1);
