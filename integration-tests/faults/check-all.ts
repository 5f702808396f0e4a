import type { SixProcesses } from '../../deploy/local/six-processes.ts';
import { type CheckedAnswers, checkAnswers } from './check-served.ts';
import { type CheckedStores, checkStores } from './check-stores.ts';
import type { PatientClient } from './client.ts';
import type { ErasedPerson } from './erase-in-between.ts';
import type { Acknowledged } from './help-desk-sender.ts';
import type { TenantModel } from './model.ts';

/** What was sent, erased and acknowledged. */
export interface Happened {
  readonly models: readonly TenantModel[];
  readonly erased: readonly Pick<ErasedPerson, 'tenantId' | 'naturalId'>[];
  readonly acknowledged: Acknowledged;
}

export interface Checked {
  readonly answers: readonly CheckedAnswers[];
  readonly stores: CheckedStores;
  readonly violations: readonly string[];
}

/** Analytics says once a second up to when its answers are complete: tenants wait for that side by side. */
const tenantsAtOnce = 6;

/** Compares what the services answer and what lies in their stores with the events that were sent. The system is idle. */
export async function checkAll(
  six: SixProcesses,
  client: PatientClient,
  { models, erased, acknowledged }: Happened,
): Promise<Checked> {
  const answers: CheckedAnswers[] = [];
  const left = models.values();
  const check = async () => {
    for (const model of left) {
      const persons = erased.filter(({ tenantId }) => tenantId === model.tenantId);
      const gone = new Set(persons.map(({ naturalId }) => naturalId));
      answers.push(await checkAnswers(six, client, model, gone));
    }
  };
  await Promise.all(Array.from({ length: tenantsAtOnce }, check));
  const stores = await checkStores(six, acknowledged);
  const sent = models.reduce((sum, { events }) => sum + events, 0);
  const known = [...acknowledged.ids.values()].reduce((sum, ids) => sum + ids.size, 0);
  const violations = [
    ...(sent === known ? [] : [`${known} event ids were acknowledged, ${sent} events were sent`]),
    ...stores.violations,
    ...answers.flatMap((each) => each.violations),
  ];
  return { answers, stores, violations };
}
