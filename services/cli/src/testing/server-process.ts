/** Stands in for the standalone server as a process: does what BEHAVIOUR says and serves nothing. */
const tell = (message: object) => process.send?.(message);

process.on('disconnect', () => process.exit(0));

const behaviour: string = process.env['BEHAVIOUR'] ?? '';
switch (behaviour) {
  case 'fails':
    tell({
      type: 'failed',
      reason: 'PORT_IN_USE',
      message: 'Port 7480 is taken.',
      next: 'Choose another.',
    });
    process.exit(1);
    break;
  case 'ends':
    process.exit(7);
    break;
  case 'dies':
    tell({ type: 'ready', address: 'a:1', healthAddress: 'a:2' });
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), 50);
    break;
  case 'is stuck':
    process.on('SIGTERM', () => undefined);
    tell({ type: 'ready', address: 'a:1', healthAddress: 'a:2' });
    break;
  case 'is silent':
    break;
  case 'refuses':
    tell({
      type: 'failed',
      reason: 'CONFIG_INVALID',
      message: 'LETHE_POSTGRES_URL: must be another',
      next: 'Correct it.',
      violations: [
        { field: 'LETHE_POSTGRES_URL', description: 'must be another' },
        { field: 'LETHE_HEALTH_PORT', description: 'must be free' },
        { field: 'LETHE_POSTGRES_TLS', description: 'must be verify' },
      ],
    });
    process.exit(1);
    break;
  case 'gives up':
    tell({ type: 'ready', address: 'a:1', healthAddress: 'a:2' });
    tell({
      type: 'failed',
      reason: 'STORE_FULL',
      message: 'The disk is full.',
      next: 'Make room.',
    });
    setTimeout(() => process.exit(1), 50);
    break;
  case 'is elsewhere': {
    const { LETHE_KAFKA_BROKERS, LETHE_POSTGRES_URL, LETHE_KEYS_KMS } = process.env;
    const { LETHE_KEYS_VAULT_ADDRESS, LETHE_CLICKHOUSE_URL } = process.env;
    const places = {
      log: LETHE_KAFKA_BROKERS,
      database: LETHE_POSTGRES_URL,
      keys: `${LETHE_KEYS_KMS} ${LETHE_KEYS_VAULT_ADDRESS}`,
      ledger: LETHE_CLICKHOUSE_URL,
    };
    tell({ type: 'ready', address: 'a:1', healthAddress: 'a:2', places });
    break;
  }
  default:
    tell({ type: 'noise' });
    tell({
      type: 'ready',
      address: process.env['LETHE_PORT'],
      healthAddress: process.env['LETHE_DATA'],
    });
}
setInterval(() => undefined, 1000);
