import { connect } from 'node:net';
import { createServer } from 'node:tls';

export interface TlsFrontWish {
  /** Where it listens. */
  readonly host: string;
  readonly port: number;
  /** PEM. */
  readonly certificate: string;
  readonly privateKey: string;
  /** On 127.0.0.1, in the clear. */
  readonly toPort: number;
}

/** TLS before a server that speaks clear text on loopback; answers how to end it. */
export async function startTlsFront(wish: TlsFrontWish): Promise<() => Promise<void>> {
  const { host, port, certificate, privateKey, toPort } = wish;
  const open = new Set<{ destroy(): unknown }>();
  const server = createServer({ cert: certificate, key: privateKey }, (incoming) => {
    const outgoing = connect(toPort, '127.0.0.1');
    for (const [one, other] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      open.add(one);
      one.on('error', () => other.destroy());
      one.once('close', () => {
        open.delete(one);
        other.destroy();
      });
    }
    incoming.pipe(outgoing).pipe(incoming);
  });
  // A handshake that fails is the caller's business.
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return async () => {
    for (const socket of open) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
}
