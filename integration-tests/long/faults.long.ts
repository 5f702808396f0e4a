import { describeFaults } from '../faults/describe-faults.ts';

describeFaults('six processes under all faults', 1);
