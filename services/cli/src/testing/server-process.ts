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
  default:
    tell({ type: 'noise' });
    tell({
      type: 'ready',
      address: process.env['LETHE_PORT'],
      healthAddress: process.env['LETHE_DATA'],
    });
}
setInterval(() => undefined, 1000);
