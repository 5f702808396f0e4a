import { createClient, type ClickHouseClient } from '@clickhouse/client';
import { createChdbConnection } from 'chdb/connection';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';

type ClientOptions = NonNullable<Parameters<typeof createClient>[0]>;

/**
 * The ClickHouse engine inside this process, behind the official client. One folder per process and one process per
 * folder; the process must keep it until its end.
 */
export async function openEmbeddedClickHouse(folder: string): Promise<ClickHouseClient> {
  try {
    const client = createClient({ connection: embeddedConnection(folder) });
    const version = await client.query({ query: 'SELECT version()', format: 'JSONEachRow' });
    await version.json();
    return client;
  } catch (error) {
    const message = `The folder ${folder} holds the embedded ClickHouse, which cannot be opened: it is damaged, or of a newer version.`;
    throw new ServiceError('STORE_DAMAGED', message, { cause: error });
  }
}

// chdb re-exports the client's own connection interface; under exactOptionalPropertyTypes the two declarations of its
// optional fields differ in name only, so the pair is joined here, once.
function embeddedConnection(folder: string): NonNullable<ClientOptions['connection']> {
  return createChdbConnection({ path: folder }) as unknown as NonNullable<
    ClientOptions['connection']
  >;
}
