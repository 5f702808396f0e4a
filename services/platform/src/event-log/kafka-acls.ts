import { type ServiceName, serviceNames } from '@lethe/proto/access.ts';
import type { Topic } from '@lethe/proto/topics.ts';
import { tailGroupPrefixOf } from './kafka-tail.ts';
import { transactionalIdPrefixOf } from './kafka-writer.ts';

/** Rights on one resource or on all whose names begin alike, in the words of kafka-acls.sh. */
export interface KafkaAcl {
  /** As the broker knows it: `User:tickets`. */
  readonly principal: string;
  readonly resource: 'topic' | 'group' | 'transactional-id';
  readonly name: string;
  readonly pattern: 'literal' | 'prefixed';
  readonly operations: readonly KafkaOperation[];
}

export type KafkaOperation = 'Alter' | 'Create' | 'Describe' | 'DescribeConfigs' | 'Read' | 'Write';

/** Whom the broker takes a service for: the SCRAM user's name, or what it makes of a client certificate. */
export interface KafkaPrincipals {
  readonly service: (service: ServiceName) => string;
  /** Creates the topics and raises their partitions; no service logs in as it. */
  readonly admin: string;
}

export const defaultKafkaPrincipals: KafkaPrincipals = {
  service: (service) => `User:${service}`,
  admin: 'User:lethe-admin',
};

/**
 * Everything that the services may do on the cluster, each as much as its work needs: an owner writes its topic and
 * reads where it ends, a consumer reads. Nobody may do anything that is not listed (`allow.everyone.if.no.acl.found`
 * must be false). An idempotent producer needs no right on the cluster since Kafka 3.0: Write on its topic suffices.
 */
export function kafkaAcls(
  topics: readonly Topic[],
  principals: KafkaPrincipals = defaultKafkaPrincipals,
): readonly KafkaAcl[] {
  return [
    ...serviceNames.flatMap((service) => aclsOfService(service, principals, topics)),
    ...topics.map(({ name }) =>
      aclOf(principals.admin, 'topic', name, 'literal', [
        'Create',
        'Alter',
        'Describe',
        'DescribeConfigs',
      ]),
    ),
  ];
}

function aclsOfService(
  service: ServiceName,
  principals: KafkaPrincipals,
  topics: readonly Topic[],
): readonly KafkaAcl[] {
  const principal = principals.service(service);
  const owned = topics.filter(({ owner }) => owner === service);
  const read = topics.filter(({ consumers }) => consumers.includes(service));
  return [
    ...owned.flatMap(({ name }) => ownersAcls(principal, name)),
    ...read.map(({ name }) =>
      aclOf(principal, 'topic', name, 'literal', ['Read', 'Describe', 'DescribeConfigs']),
    ),
    ...(read.length === 0 ? [] : groupsAcls(principal, service)),
  ];
}

function ownersAcls(principal: string, topic: string): readonly KafkaAcl[] {
  return [
    aclOf(principal, 'topic', topic, 'literal', ['Read', 'Write', 'Describe', 'DescribeConfigs']),
    // Whoever may use one of these ids can fence the owner.
    aclOf(principal, 'transactional-id', transactionalIdPrefixOf(topic), 'prefixed', [
      'Write',
      'Describe',
    ]),
    aclOf(principal, 'group', tailGroupPrefixOf(topic), 'prefixed', ['Read']),
  ];
}

/** A service's groups are its name, and its name with a purpose: `analytics-projection` (port.ts, ReaderOptions). */
function groupsAcls(principal: string, service: ServiceName): readonly KafkaAcl[] {
  return [
    aclOf(principal, 'group', service, 'literal', ['Read']),
    aclOf(principal, 'group', `${service}-`, 'prefixed', ['Read']),
  ];
}

function aclOf(
  principal: string,
  resource: KafkaAcl['resource'],
  name: string,
  pattern: KafkaAcl['pattern'],
  operations: readonly KafkaOperation[],
): KafkaAcl {
  return { principal, resource, name, pattern, operations };
}
