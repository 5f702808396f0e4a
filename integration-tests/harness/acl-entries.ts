import kafkajs, { type AclEntry } from 'kafkajs';
import type { KafkaAcl, KafkaOperation } from '@lethe/platform/event-log/kafka-acls.ts';

/** One line of the manifest's list, as kafkajs wants it. */
export function aclEntries(acl: KafkaAcl): AclEntry[] {
  const { principal, resource, name, pattern, operations } = acl;
  const { AclOperationTypes, AclResourceTypes, ResourcePatternTypes, AclPermissionTypes } = kafkajs;
  const resourceTypes = {
    topic: AclResourceTypes.TOPIC,
    group: AclResourceTypes.GROUP,
    'transactional-id': AclResourceTypes.TRANSACTIONAL_ID,
  };
  const operationTypes: Readonly<Record<KafkaOperation, number>> = {
    Alter: AclOperationTypes.ALTER,
    Create: AclOperationTypes.CREATE,
    Describe: AclOperationTypes.DESCRIBE,
    DescribeConfigs: AclOperationTypes.DESCRIBE_CONFIGS,
    Read: AclOperationTypes.READ,
    Write: AclOperationTypes.WRITE,
  };
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
