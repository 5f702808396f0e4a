import { connect, createServer, type Socket } from 'node:net';
import { once } from 'node:events';

export interface OptionDroppingPooler {
  readonly port: number;
  close(): void;
}

/**
 * Passes connections on to a server without the `options` of their first message, as PgBouncer does with
 * `ignore_startup_parameters = options`.
 */
export async function startOptionDroppingPooler(serverPort: number): Promise<OptionDroppingPooler> {
  const open = new Set<Socket>();
  const pooler = createServer((client) => {
    const server = connect(serverPort, '127.0.0.1');
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      open.add(one);
      one.on('error', () => undefined);
      one.on('close', () => other.destroy());
    }
    client.once('data', (startup) => {
      server.write(withoutOptions(Buffer.from(startup)));
      client.pipe(server);
      server.pipe(client);
    });
  });
  pooler.listen(0, '127.0.0.1');
  await once(pooler, 'listening');
  const address = pooler.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    close: () => {
      pooler.close();
      for (const socket of open) socket.destroy();
    },
  };
}

/** Length, version, then names and values that end in NUL each, then NUL. */
function withoutOptions(startup: Buffer): Buffer {
  const words = startup.toString('latin1', 8).split('\0').slice(0, -2);
  const kept = words.filter((_, place) => words[place - (place % 2)] !== 'options');
  const body = Buffer.from([...kept, '', ''].join('\0'), 'latin1');
  const head = Buffer.from(startup.subarray(0, 8));
  head.writeInt32BE(head.length + body.length);
  return Buffer.concat([head, body]);
}
