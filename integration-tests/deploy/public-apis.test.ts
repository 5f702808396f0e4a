import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { methodAccess, serviceNames } from '@lethe/proto/access.ts';
import { publicRoutes } from '../../deploy/local/path-router.ts';
import { publicApis } from '../../deploy/public-apis.ts';

/** The services that a call of this path goes to. */
function servicesOf(path: string): readonly string[] {
  const routes = publicRoutes((name) => name);
  return routes.filter(({ prefix }) => path.startsWith(prefix)).map(({ address }) => address());
}

describe('the routes of clients', () => {
  it('lead every method that clients call to one service, and none that only services call', () => {
    for (const [path, { kind }] of Object.entries(methodAccess)) {
      // Whoever routes answers for the health of what is behind it.
      const isClients = kind !== 'services' && !path.startsWith('/grpc.health.v1.');
      assert.equal(servicesOf(path).length, isClients ? 1 : 0, path);
    }
  });

  it('lead what several services have to the one that is meant', () => {
    const meant = {
      '/lethe.parking.v1.AnalyticsParkingService/ListParkedStreams': 'analytics',
      '/lethe.parking.v1.PredictionsParkingService/ListParkedStreams': 'predictions',
      '/lethe.rebuild.v1.TicketsRebuildService/Rebuild': 'tickets',
      '/lethe.rebuild.v1.PredictionsRebuildService/Rebuild': 'predictions',
      '/lethe.rebuild.v1.UsageRebuildService/Rebuild': 'usage',
      '/lethe.rebuild.v1.AnalyticsRebuildService/Rebuild': 'analytics',
    };
    for (const [path, service] of Object.entries(meant))
      assert.deepEqual(servicesOf(path), [service]);
  });

  it('are what the chart routes', () => {
    const facts = JSON.parse(readFileSync('charts/lethe/files/services.json', 'utf8')) as Readonly<
      Record<string, { readonly apis: readonly string[] }>
    >;
    const apis = Object.fromEntries(Object.entries(facts).map(([name, each]) => [name, each.apis]));
    assert.deepEqual(
      Object.fromEntries(serviceNames.map((name) => [name, publicApis(name)])),
      apis,
    );
  });
});
