import { createRequire } from 'node:module';

/** What is asked for: a group's coordinator, or that of a transactional id. */
type Question = Readonly<Record<string, unknown>>;
type Find = (this: unknown, question: Question) => Promise<unknown>;

/** As far as it matters here. */
interface Cluster {
  readonly brokerPool: { readonly brokers: Readonly<Record<string, unknown>> };
  findBroker(which: { readonly nodeId: string }): Promise<{ findGroupCoordinator: Find }>;
}

const clusterFile = 'kafkajs/src/cluster/index.js';
const isTaught = Symbol('lethe: passes refusals on');

/**
 * kafkajs 2.2.4 asks each broker for the coordinator of a group or a transactional id, throws every answer away, and then
 * says that there is none: a principal without the right looks like a cluster that is starting. So its method is wrapped,
 * once per process: where it found none, one broker is asked once more, and its answer is what the caller gets.
 */
export function teachRefusals(): void {
  const require = createRequire(import.meta.url);
  const loaded: unknown = require(clusterFile);
  const prototype: unknown = typeof loaded === 'function' ? loaded.prototype : undefined;
  if (typeof prototype !== 'object' || prototype === null) throw another();
  if (Reflect.has(prototype, isTaught)) return;
  const find: unknown = Reflect.get(prototype, 'findGroupCoordinatorMetadata');
  if (!isFind(find)) throw another();
  const ask: Find = async function (question) {
    try {
      return await find.call(this, question);
    } catch (error) {
      if (!isNotFound(error) || !isCluster(this)) throw error;
      const [nodeId] = Object.keys(this.brokerPool.brokers);
      if (nodeId === undefined) throw error;
      const broker = await this.findBroker({ nodeId });
      return broker.findGroupCoordinator(question);
    }
  };
  Object.assign(prototype, { findGroupCoordinatorMetadata: ask, [isTaught]: true });
}

function another(): TypeError {
  return new TypeError(`${clusterFile} is another one than that of kafkajs 2.2.4`);
}

function isFind(value: unknown): value is Find {
  return typeof value === 'function';
}

function isNotFound(error: unknown): boolean {
  return error instanceof Error && error.name === 'KafkaJSGroupCoordinatorNotFound';
}

function isCluster(value: unknown): value is Cluster {
  if (typeof value !== 'object' || value === null) return false;
  const pool: unknown = Reflect.get(value, 'brokerPool');
  return typeof pool === 'object' && pool !== null && 'brokers' in pool && 'findBroker' in value;
}
