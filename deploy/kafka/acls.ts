#!/usr/bin/env node
/*
 * Prints what each service may do on the cluster, from proto/topics.ts: nothing is asked and nothing is changed.
 *
 *   node deploy/kafka/acls.ts --bootstrap-server kafka:9093 --command-config admin.properties | sh
 *   node deploy/kafka/acls.ts --format json
 */
import { parseArgs } from 'node:util';
import { topics } from '../../proto/topics.ts';
import {
  defaultKafkaPrincipals,
  kafkaAcls,
  type KafkaPrincipals,
} from '../../services/platform/src/event-log/kafka-acls.ts';
import { aclCommands } from './acl-commands.ts';

const usage = `Prints the ACLs of Lethe's services, from proto/topics.ts.

  --format commands|json    calls of kafka-acls.sh (default), or a list for other tools
  --bootstrap-server H:P    of a broker; default localhost:9092
  --command-config FILE     the administrator's login, passed on to kafka-acls.sh
  --principal TEMPLATE      of a service, with {service} in it; default User:{service}
  --admin-principal NAME    who creates the topics; default ${defaultKafkaPrincipals.admin}
`;

const options = {
  format: { type: 'string', default: 'commands' },
  'bootstrap-server': { type: 'string', default: 'localhost:9092' },
  'command-config': { type: 'string' },
  principal: { type: 'string', default: 'User:{service}' },
  'admin-principal': { type: 'string', default: defaultKafkaPrincipals.admin },
  help: { type: 'boolean', default: false },
} as const;

/** Throws with what to correct. */
function print(args: readonly string[]): string {
  const { values } = parseArgs({ args: [...args], options });
  if (values.help) return usage;
  const { principal: template, format } = values;
  if (!/^User:.*\{service\}/.test(template)) {
    throw new TypeError('--principal must begin with User: and contain {service}');
  }
  const principals: KafkaPrincipals = {
    service: (service) => template.replaceAll('{service}', service),
    admin: values['admin-principal'],
  };
  const acls = kafkaAcls(topics, principals);
  if (format === 'json') return `${JSON.stringify(acls, undefined, 2)}\n`;
  if (format !== 'commands') throw new TypeError('--format must be commands or json');
  const config = values['command-config'];
  const tool = {
    bootstrapServer: values['bootstrap-server'],
    ...(config === undefined ? {} : { commandConfig: config }),
  };
  return aclCommands(acls, tool).join('\n') + '\n';
}

try {
  process.stdout.write(print(process.argv.slice(2)));
} catch (error) {
  const why = error instanceof Error ? error.message : 'failed';
  process.stderr.write(`${why}\n\n${usage}`);
  process.exitCode = 2;
}
