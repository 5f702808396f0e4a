import type { KafkaAcl } from '../../services/platform/src/event-log/kafka-acls.ts';

/** How kafka-acls.sh is called. */
export interface AclTool {
  /** `host:port` of a broker. */
  readonly bootstrapServer: string;
  /** A properties file with the administrator's login. */
  readonly commandConfig?: string;
}

/** One call of kafka-acls.sh for each line of the list, for a shell. Repeating one changes nothing. */
export function aclCommands(acls: readonly KafkaAcl[], tool: AclTool): readonly string[] {
  return acls.map((acl) => ['kafka-acls.sh', ...aclArguments(acl, tool).map(quoted)].join(' '));
}

/** The arguments of one call. */
function aclArguments(acl: KafkaAcl, tool: AclTool): readonly string[] {
  const { bootstrapServer, commandConfig } = tool;
  return [
    '--bootstrap-server',
    bootstrapServer,
    ...(commandConfig === undefined ? [] : ['--command-config', commandConfig]),
    '--add',
    '--force',
    '--allow-principal',
    acl.principal,
    ...acl.operations.flatMap((operation) => ['--operation', operation]),
    `--${acl.resource}`,
    acl.name,
    '--resource-pattern-type',
    acl.pattern,
  ];
}

function quoted(word: string): string {
  return /^[\w.:/=,-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
