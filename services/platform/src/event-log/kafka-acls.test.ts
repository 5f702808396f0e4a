import assert from 'node:assert/strict';
import { type ServiceName, serviceNames } from '@lethe/proto/access.ts';
import { type Topic, topics } from '@lethe/proto/topics.ts';
import { type KafkaAcl, kafkaAcls } from './kafka-acls.ts';

const manifest: readonly Topic[] = topics;
const of = (service: ServiceName, acls: readonly KafkaAcl[] = kafkaAcls(manifest)) =>
  acls.filter(({ principal }) => principal === `User:${service}`);
const lines = (acls: readonly KafkaAcl[]) =>
  acls.map(({ resource, name, pattern, operations }) =>
    [resource, pattern === 'prefixed' ? `${name}*` : name, ...operations].join(' '),
  );

describe('ACLs of Kafka', () => {
  it('name every service that the manifest names, with the right that it needs there', () => {
    for (const { name, owner, consumers } of manifest) {
      for (const service of consumers) {
        const right = of(service).find((acl) => acl.resource === 'topic' && acl.name === name);
        assert.ok(right?.operations.includes('Read'), `${service} reads ${name}`);
        assert.ok(
          of(service).some((acl) => acl.resource === 'group' && acl.name === service),
          `${service} has a group`,
        );
      }
      const right = of(owner).find((acl) => acl.resource === 'topic' && acl.name === name);
      assert.ok(right?.operations.includes('Write'), `${owner} writes ${name}`);
    }
  });

  it('let nobody but the owner write, or use its transactional ids', () => {
    for (const { principal, resource, name, operations } of kafkaAcls(manifest)) {
      if (!operations.includes('Write')) continue;
      const owned = manifest.filter(({ owner }) => `User:${owner}` === principal);
      const names = owned.map((topic) =>
        resource === 'topic' ? topic.name : `lethe-${topic.name}-`,
      );
      assert.ok(names.includes(name), `${principal} writes ${resource} ${name}`);
    }
  });

  it('let nobody but the administrator create or alter, and nobody touch the cluster', () => {
    for (const { principal, resource, operations } of kafkaAcls(manifest)) {
      const isAdmin = principal === 'User:lethe-admin';
      assert.ok(isAdmin || !operations.some((each) => ['Create', 'Alter'].includes(each)));
      assert.ok(!isAdmin || (resource === 'topic' && !operations.includes('Read')));
    }
  });

  it('are, for the one that owns and reads, these', () => {
    assert.deepEqual(lines(of('predictions')), [
      'topic predictions.v1 Read Write Describe DescribeConfigs',
      'transactional-id lethe-predictions.v1-* Write Describe',
      'group lethe-tail-predictions.v1-* Read',
      'topic tickets.v1 Read Describe DescribeConfigs',
      'topic privacy.v1 Read Describe DescribeConfigs',
      'group predictions Read',
      'group predictions-* Read',
    ]);
  });

  it("give by no prefix what is another's", () => {
    const clash = (names: readonly string[]) =>
      names.filter((name) => names.some((other) => other.startsWith(`${name}-`)));
    assert.deepEqual(clash(serviceNames), []);
    assert.deepEqual(clash(manifest.map(({ name }) => name)), []);
    assert.ok(!serviceNames.some((name) => name.startsWith('lethe-')));
  });

  it('call the principals as the deployment does', () => {
    const principals = { service: (name: ServiceName) => `User:CN=${name}`, admin: 'User:CN=ops' };
    const named = new Set(kafkaAcls(manifest, principals).map(({ principal }) => principal));
    assert.deepEqual(
      [...named].sort(),
      [...serviceNames.map((name) => `User:CN=${name}`).sort(), 'User:CN=ops'].sort(),
    );
  });
});
