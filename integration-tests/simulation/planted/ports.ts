import type { EventLog, PartitionWriter } from '@lethe/platform/event-log/port.ts';
import type { MethodDefinition, Peer, Peers } from '@lethe/platform/grpc/handler.ts';
import type { LeaseResponse } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import type { PlantedBug, World } from '../world/world.ts';
import type { Planted } from './statements.ts';

/** Bugs in what services run on. */
export const portBugs: readonly Planted[] = [
  {
    name: 'relay without fencing',
    what: 'a writer neither fences older ones nor refuses sequences that are there',
    plant: () => ({ isUnfenced: true }),
  },
  {
    name: 'append sent again',
    what: 'an append without an answer is sent again without a look at the log',
    plant: () => ({
      isUnfenced: true,
      ports: (ports) => ({ ...ports, eventLog: sendingAgain(ports.eventLog) }),
    }),
  },
  {
    name: 'lease past its term',
    what: 'a holder uses leases for an hour',
    plant: () => onAnswers('Lease', (answer: LeaseResponse) => ({ ...answer, ttlMs: 3_600_000 })),
  },
  {
    name: 'revocation ignored',
    what: 'a holder acknowledges revocations and goes on with its leases',
    plant: () => ({
      ports: (ports) => ({ ...ports, peers: deafTo('WatchRevocations', ports.peers) }),
    }),
  },
  {
    name: 'chunk folded again',
    what: 'a chunk is in the ledger before it is committed; a retry folds it again',
    plant: insertingBeforeCommit,
  },
  {
    name: 'fresh manifest id',
    what: 'a pending manifest is inserted again under an id of its own',
    plant: freshManifestIds,
  },
];

function methodOf({ path }: { readonly path: string }): string {
  return path.split('/').at(-1) ?? '';
}

type AnyMethod = MethodDefinition<unknown, unknown>;
type Unary = (
  method: AnyMethod,
  request: unknown,
  options?: Parameters<Peer['unary']>[2],
) => Promise<unknown>;

/** A peer whose unary calls go through `unary`; the types of a call are the wrapped peer's. */
function withUnary(peers: Peers, wrap: (real: Unary) => Unary): Peers {
  return (service) => {
    const peer = peers(service);
    const real: Unary = async (method, request, options) => peer.unary(method, request, options);
    return { ...peer, unary: wrap(real) as Peer['unary'] };
  };
}

function onAnswers<Response>(name: string, map: (answer: Response) => Response): PlantedBug {
  const wrap =
    (real: Unary): Unary =>
    async (method, request, options) => {
      const answer = await real(method, request, options);
      return methodOf(method) === name ? map(answer as Response) : answer;
    };
  return { ports: (ports) => ({ ...ports, peers: withUnary(ports.peers, wrap) }) };
}

/** Messages arrive without their scopes: acknowledged, and nothing is evicted. */
function deafTo(name: string, peers: Peers): Peers {
  return (service) => {
    const peer = peers(service);
    return {
      ...peer,
      serverStream: async function* (method, request, options) {
        for await (const message of peer.serverStream(method, request, options)) {
          const isTheOne = methodOf(method) === name;
          yield isTheOne ? { ...message, scopes: [] } : message;
        }
      },
    };
  };
}

function sendingAgain(log: EventLog): EventLog {
  const again = (writer: PartitionWriter, reopen: () => Promise<PartitionWriter>) => ({
    ...writer,
    append: async (...given: Parameters<PartitionWriter['append']>) => {
      try {
        await writer.append(...given);
      } catch {
        await (await reopen()).append(...given);
      }
    },
  });
  return {
    ...log,
    openWriter: async (at) => again(await log.openWriter(at), async () => log.openWriter(at)),
  };
}

/** The rows reach the ledger with the statement that stores them for later. */
function insertingBeforeCommit(): PlantedBug {
  let world: World | undefined;
  return {
    begin: (given) => {
      world = given;
    },
    statement: ({ schema, text, parameters }) => {
      if (schema !== 'analytics' || !/insert into manifest_inserts/.test(text)) return undefined;
      const [, family, , , , body] = parameters;
      if (Buffer.isBuffer(body)) world?.ledger.store(String(family), body.toString());
      return undefined;
    },
  };
}

function freshManifestIds(): PlantedBug {
  let count = 0;
  return {
    statement: ({ schema, text }) => {
      if (schema !== 'analytics' || !/select family, month, row_count, body/.test(text)) {
        return undefined;
      }
      return {
        map: (answer) => ({
          ...answer,
          rows: answer.rows.map((row) => ({ ...row, body: renamed(row['body'], (count += 1)) })),
        }),
      };
    },
  };
}

function renamed(body: unknown, count: number): unknown {
  if (!Buffer.isBuffer(body)) return body;
  const fresh = `00000000-0000-4000-8000-${String(count).padStart(12, '0')}`;
  const anyId = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
  return Buffer.from(body.toString().replaceAll(anyId, fresh));
}
