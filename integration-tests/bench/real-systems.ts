import { startLocalClickHouse } from '../../deploy/local/clickhouse.ts';
import { startLocalBroker } from '../../deploy/local/kafka.ts';
import { startLocalPostgres } from '../../deploy/local/postgres.ts';
import { provisionVault } from '../../deploy/local/provisioned-vault.ts';
import { startLocalVault } from '../../deploy/local/vault.ts';
import type { RealPlaces, SystemKind } from './real-places.ts';

/** Systems that were started for one measurement. */
export interface BenchSystems {
  readonly places: RealPlaces;
  /** As they say themselves. */
  readonly versions: Readonly<Record<string, string>>;
  /** Ends them and removes their files; idempotent. */
  end(): Promise<void>;
}

type End = () => Promise<void>;
type Started = Pick<BenchSystems, 'places' | 'versions'>;

/** New ones, empty, with fsync on: one after another, so that each is alone while it starts. */
export async function startBenchSystems(
  kinds: readonly SystemKind[],
  vaultBinary: string,
): Promise<BenchSystems> {
  const ends: End[] = [];
  const end = async () => {
    for (const each of ends.splice(0).toReversed()) await each();
  };
  try {
    let started: Started = { places: {}, versions: {} };
    for (const kind of kinds) {
      const { places, versions } = await startOne(kind, vaultBinary, ends);
      started = {
        places: { ...started.places, ...places },
        versions: { ...started.versions, ...versions },
      };
    }
    return { ...started, end };
  } catch (error) {
    await end();
    throw error;
  }
}

async function startOne(kind: SystemKind, vaultBinary: string, ends: End[]): Promise<Started> {
  switch (kind) {
    case 'kafka': {
      const kafka = await startLocalBroker();
      ends.push(async () => await kafka.remove());
      const { address, pid, version } = kafka;
      return { places: { kafka: { address, pid } }, versions: { 'Apache Kafka': version } };
    }
    case 'postgres': {
      const postgres = await startLocalPostgres({ durable: true });
      ends.push(async () => await postgres.destroy());
      const version = /\d[\d.]+/.exec(postgres.version)?.[0] ?? postgres.version;
      return { places: { postgres: { url: postgres.url } }, versions: { PostgreSQL: version } };
    }
    case 'clickHouse': {
      const front = await startLocalClickHouse();
      ends.push(async () => await front.destroy());
      const { url, passwordFile, pid } = front;
      const version = 'the engine of chdb behind a small HTTP front';
      return {
        places: { clickHouse: { url, passwordFile, pid } },
        versions: { ClickHouse: version },
      };
    }
    case 'vault': {
      const vault = await startLocalVault({ binary: vaultBinary, mode: 'dev' });
      ends.push(async () => await vault.destroy());
      const version = /v\d[\d.]+/.exec(vault.version)?.[0] ?? vault.version;
      const env = await provisionVault(vault);
      return { places: { vault: { env } }, versions: { Vault: version } };
    }
  }
}
