import kafkajs, { type AclEntry } from 'kafkajs';
import type { KafkaAcl, KafkaOperation } from './kafka-acls.ts';

const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs;

const resourceTypes = {
  topic: AclResourceTypes.TOPIC,
  group: AclResourceTypes.GROUP,
  'transactional-id': AclResourceTypes.TRANSACTIONAL_ID,
} as const;

const operationTypes: Readonly<Record<KafkaOperation, number>> = {
  Alter: AclOperationTypes.ALTER,
  Create: AclOperationTypes.CREATE,
  Describe: AclOperationTypes.DESCRIBE,
  DescribeConfigs: AclOperationTypes.DESCRIBE_CONFIGS,
  Read: AclOperationTypes.READ,
  Write: AclOperationTypes.WRITE,
};

/** One of the list in the words of the client's admin: an entry for each operation, from any host. */
export function aclEntries({
  principal,
  resource,
  name,
  pattern,
  operations,
}: KafkaAcl): AclEntry[] {
  return operations.map((operation) => ({
    principal,
    host: '*',
    resourceType: resourceTypes[resource],
    resourceName: name,
    resourcePatternType:
      pattern === 'prefixed' ? ResourcePatternTypes.PREFIXED : ResourcePatternTypes.LITERAL,
    permissionType: AclPermissionTypes.ALLOW,
    operation: operationTypes[operation],
  }));
}
