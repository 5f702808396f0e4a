import { ClickHouseError } from '@clickhouse/client';
import { DatabaseError } from '@lethe/platform/database/database-error.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { isTransient } from '@lethe/platform/retry/is-transient.ts';
import { tlsFailureOf } from '@lethe/platform/tls/tls-failure.ts';

/** The systems, by what names them on the command line of `lethe up`. */
export type SystemName = 'kafka' | 'postgres' | 'kms' | 'clickhouse';

const flags: Readonly<Record<SystemName, string>> = {
  kafka: '--kafka',
  postgres: '--postgres',
  kms: '--vault',
  clickhouse: '--clickhouse',
};

/** SYSTEM_UNUSABLE: which flag and which place, what is wrong, and what to do. */
export function unusable(
  system: SystemName,
  place: string,
  problem: string,
  cause?: unknown,
): ServiceError {
  const message = `${flags[system]} ${place}: ${problem.replace(/[.\s]+$/, '')}.`;
  return new ServiceError('SYSTEM_UNUSABLE', message, { cause });
}

/** Runs the opening of a system; throws SYSTEM_UNUSABLE for what somebody can put right, else what it throws. */
export async function explained<Result>(
  system: SystemName,
  place: string,
  open: () => Promise<Result>,
): Promise<Result> {
  try {
    return await open();
  } catch (error) {
    const isSaid = error instanceof ServiceError && error.reason === 'SYSTEM_UNUSABLE';
    const problem = isSaid ? undefined : problemOf(system, error);
    if (problem === undefined) throw error;
    throw unusable(system, place, problem, error);
  }
}

function problemOf(system: SystemName, error: unknown): string | undefined {
  switch (system) {
    case 'kafka':
      return kafkaProblem(error);
    case 'postgres':
      return postgresProblem(error);
    case 'kms':
      return error instanceof ServiceError ? kmsProblem(error) : undefined;
    case 'clickhouse':
      return clickHouseProblem(error);
  }
}

const kafkaLogin = 'LETHE_KAFKA_SASL, LETHE_KAFKA_USERNAME and LETHE_KAFKA_PASSWORD_FILE';

function kafkaProblem(error: unknown): string | undefined {
  if (!(error instanceof ServiceError)) return undefined;
  const { reason, message } = error;
  const said = message.replace(/^creating or checking topics: /, '').replace(/[.\s]+$/, '');
  if (reason === 'LOG_ACCESS_DENIED') {
    return `it refuses this login (${said}). Correct ${kafkaLogin}, or grant the principal what docs/operators/kafka.md lists for each service`;
  }
  if (reason === 'CONFIG_INVALID') {
    return `its topics are not as they must be (${said}). Change the topics, or the settings LETHE_KAFKA_…, so that they agree`;
  }
  if (reason !== 'STORE_UNAVAILABLE') return undefined;
  if (/replication.factor/i.test(said)) {
    return `it has too few brokers for the topics (${said}). Set LETHE_KAFKA_REPLICATION_FACTOR and LETHE_KAFKA_MIN_INSYNC_REPLICAS`;
  }
  return `no Kafka broker answers (${said}). Start it or correct the address; a broker that speaks TLS needs LETHE_KAFKA_TLS=verify and mostly LETHE_KAFKA_CA_FILE, one that asks for a login ${kafkaLogin}`;
}

/** What somebody can put right, by SQLSTATE; https://www.postgresql.org/docs/15/errcodes-appendix.html */
const postgresProblems: ReadonlyMap<string, string> = new Map([
  ['28P01', 'it refuses the login. Name a file with the password by LETHE_POSTGRES_PASSWORD_FILE'],
  ['28000', 'it refuses the login. Correct the user, or pg_hba.conf on the server'],
  ['3D000', 'there is no such database. Create it (createdb -E UTF8), or correct its name'],
  [
    '42501',
    'this user may not make schemas there. Run GRANT CREATE ON DATABASE, or name a user who owns the database',
  ],
  [
    '53300',
    'it has no connection left: a server of Lethe takes about 50. Raise max_connections, or set LETHE_POSTGRES_CONNECTIONS lower',
  ],
]);

function postgresProblem(error: unknown): string | undefined {
  const known = chainOf(error)
    .filter((each) => each instanceof DatabaseError)
    .map(({ sqlState }) => postgresProblems.get(sqlState))
    .find((problem) => problem !== undefined);
  if (known !== undefined) return known;
  if (error instanceof ServiceError) {
    const { reason } = error;
    if (reason === 'CONFIG_INVALID' || reason === 'STORE_ACCESS_DENIED') return error.message;
    if (reason !== 'STORE_UNAVAILABLE') return undefined;
    return `no PostgreSQL server answers (${error.message}). Start it or correct the address`;
  }
  // What answers there but speaks another protocol; pg words it in several ways.
  const isForeign = error instanceof Error && !(error instanceof DatabaseError);
  return isForeign && !isTransient(error)
    ? 'what answers there is no PostgreSQL server. Correct the address'
    : undefined;
}

function kmsProblem({ reason, message }: ServiceError): string | undefined {
  if (reason === 'KMS_UNAVAILABLE') {
    return `it does not answer (${message.replace(/[.\s]+$/, '')}). Start it or correct the address`;
  }
  const said = message.replace(/[.\s]+$/, '');
  return reason.startsWith('KMS_') ? `${said}. docs/operators/vault.md sets it up` : undefined;
}

/** ClickHouse's own code for a user or a password that it refuses. */
const authenticationFailed = '516';

function clickHouseProblem(error: unknown): string | undefined {
  if (error instanceof ClickHouseError) {
    if (error.code === authenticationFailed) {
      return 'it refuses the login. Set LETHE_CLICKHOUSE_USER, and LETHE_CLICKHOUSE_PASSWORD_FILE to a file with the password';
    }
    return `it refuses a question for its version (code ${error.code}). See docs/operators/clickhouse.md`;
  }
  if (!(error instanceof Error)) return undefined;
  const code: unknown = Reflect.get(error, 'code');
  if (typeof code !== 'string')
    return 'what answers there is no ClickHouse server. Correct the address of its HTTP interface';
  return tlsFailureOf(error) === undefined
    ? `no ClickHouse server answers (${code}). Start it or correct the address of its HTTP interface`
    : `TLS with it does not come about (${code}). Name the authority of its certificate by LETHE_CLICKHOUSE_CA_FILE`;
}

function chainOf(error: unknown): readonly Error[] {
  return error instanceof Error ? [error, ...chainOf(error.cause)] : [];
}
