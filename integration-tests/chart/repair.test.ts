import assert from 'node:assert/strict';
import { withValues } from './example-values.ts';
import { HelmRefusal, render, type Values } from './helm.ts';
import { componentOf, podsOf } from './kube-objects.ts';
import { variants } from './variants.ts';

// docs/operators/repair.md: the service's own main, with its settings and rights.
describe('a repair by the chart', () => {
  const ways = [
    ['repairs that look', ['--repair'], 0],
    ['repairs that mend, the longest name', ['--repair', '--yes'], 3],
  ] as const;
  for (const [name, args, triesAgain] of ways) {
    it(`has all that the service has, in a plain job that no Service finds: ${name}`, async () => {
      const pods = podsOf((await render(variants[name] ?? {})).objects());
      const repairs = pods.filter(({ labels }) => componentOf(labels).startsWith('repair-'));
      assert.equal(repairs.length, 5);
      for (const { object, labels, spec } of repairs) {
        const service = componentOf(labels).replace('repair-', '');
        const its = pods.find(({ labels: other }) => componentOf(other) === service)?.spec;
        const [job, process] = [spec.containers[0], its?.containers[0]];
        assert.deepEqual(job?.args, args);
        assert.deepEqual(
          [job?.image, job?.env, job?.volumeMounts, spec.volumes],
          [process?.image, process?.env, process?.volumeMounts, its?.volumes],
        );
        assert.equal(job?.resources?.limits?.['memory'], process?.resources?.limits?.['memory']);
        assert.equal(object.metadata.annotations, undefined);
        // The log is read for as long as it takes; one that looked and found something is not run again.
        assert.equal(object.spec?.['activeDeadlineSeconds'], undefined);
        assert.equal(object.spec?.['backoffLimit'], triesAgain);
      }
    }).timeout(30_000);
  }

  const refused: readonly (readonly [string, Values, RegExp])[] = [
    [
      'beside the pods of its service',
      withValues({ jobs: { repair: { tickets: 'check', privacy: 'mend' } } }),
      /^jobs\.repair\.privacy: [\s\S]*^jobs\.repair\.tickets: no process of it may run/m,
    ],
    [
      'of what an autoscaler starts',
      withValues({
        services: { usage: { replicas: 0, scaling: { mode: 'cpu' } } },
        jobs: { repair: { usage: 'mend' } },
      }),
      /^jobs\.repair\.usage: no process of it may run/m,
    ],
  ];
  for (const [what, values, expected] of refused) {
    it(`is refused ${what}`, async () => {
      await assert.rejects(
        render(values),
        (error) => error instanceof HelmRefusal && expected.test(error.said),
      );
    }).timeout(30_000);
  }
});
