/** Who may call what. The interceptor refuses every method that is not listed here; a test holds the list complete. */

/** Roles of the access token's `roles` claim. */
export const roles = ['platform-admin', 'writer', 'reader', 'privacy-officer'] as const;
export type Role = (typeof roles)[number];

/** The deployable services; between them the certificate is the identity. */
export const serviceNames = [
  'tickets',
  'predictions',
  'usage',
  'analytics',
  'privacy',
  'keys',
] as const;
export type ServiceName = (typeof serviceNames)[number];

/** `roles`: any one of them suffices. `services`: callers by certificate. `open`: nobody is asked. */
export type Access =
  | { readonly kind: 'roles'; readonly roles: readonly Role[] }
  | { readonly kind: 'services'; readonly services: readonly ServiceName[] }
  | { readonly kind: 'open' };

const forRoles = (...allowed: readonly Role[]): Access => ({ kind: 'roles', roles: allowed });
const forServices = (...allowed: readonly ServiceName[]): Access => ({
  kind: 'services',
  services: allowed,
});
const open: Access = { kind: 'open' };

/** By full gRPC method path. Every caller by role needs a tenant in the token unless the role is platform-admin. */
export const methodAccess: Readonly<Record<string, Access>> = {
  '/lethe.tickets.v1.TicketService/AppendTicketEvents': forRoles('writer'),
  '/lethe.tickets.v1.TicketService/StreamTicketEvents': forRoles('writer'),
  '/lethe.tickets.v1.TicketService/GetTicket': forRoles('reader', 'privacy-officer'),
  '/lethe.tickets.v1.TicketService/ListTickets': forRoles('reader', 'privacy-officer'),
  '/lethe.tickets.v1.TicketService/GetTranscript': forRoles('reader', 'privacy-officer'),
  '/lethe.predictions.v1.PredictionService/AppendPredictionEvents': forRoles('writer'),
  '/lethe.predictions.v1.PredictionService/StreamPredictionEvents': forRoles('writer'),
  '/lethe.predictions.v1.PredictionService/ListPredictions': forRoles('reader', 'privacy-officer'),
  '/lethe.usage.v1.UsageService/AppendUsageEvents': forRoles('writer'),
  '/lethe.usage.v1.UsageService/StreamUsageEvents': forRoles('writer'),
  '/lethe.analytics.v1.AnalyticsService/QueryMetric': forRoles('reader', 'privacy-officer'),
  '/lethe.analytics.v1.AnalyticsService/ListMetrics': forRoles(
    'reader',
    'privacy-officer',
    'platform-admin',
  ),
  '/lethe.analytics.v1.AnalyticsService/GetPlatformTotals': forRoles('platform-admin'),
  '/lethe.analytics.v1.ProjectionService/Progress': forServices('tickets', 'predictions', 'usage'),
  '/lethe.privacy.v1.PrivacyService/RegisterTenant': forRoles('platform-admin'),
  '/lethe.privacy.v1.PrivacyService/ListTenants': forRoles('platform-admin'),
  '/lethe.privacy.v1.PrivacyService/RequestErasure': forRoles('privacy-officer'),
  '/lethe.privacy.v1.PrivacyService/GetErasure': forRoles('privacy-officer'),
  '/lethe.privacy.v1.PrivacyService/WatchErasure': forRoles('privacy-officer'),
  '/lethe.privacy.v1.PrivacyService/ListErasures': forRoles('privacy-officer'),
  '/lethe.privacy.v1.PrivacyService/GetCertificate': forRoles('privacy-officer'),
  '/lethe.privacy.v1.PrivacyService/GetSigningKey': open,
  '/lethe.privacy.v1.ReceiptService/RecordReceipt': forServices(
    'tickets',
    'predictions',
    'usage',
    'analytics',
    'keys',
  ),
  '/lethe.erasure.v1.ErasureParticipantService/PreviewErasure': forServices('privacy'),
  '/lethe.log.v1.SequenceService/Missing': forServices(
    'tickets',
    'predictions',
    'usage',
    'analytics',
    'keys',
  ),
  '/lethe.log.v1.SequenceService/Heads': forServices(
    'tickets',
    'predictions',
    'usage',
    'analytics',
    'keys',
  ),
  '/lethe.keys.v1.KeyService/CreateTenant': forServices('privacy'),
  '/lethe.keys.v1.KeyService/Lease': forServices(
    'tickets',
    'predictions',
    'usage',
    'analytics',
    'privacy',
  ),
  '/lethe.keys.v1.KeyService/LeaseTokenKey': forServices(
    'tickets',
    'predictions',
    'usage',
    'privacy',
  ),
  '/lethe.keys.v1.KeyService/LeaseContributorKey': forServices('tickets', 'predictions', 'usage'),
  '/lethe.keys.v1.KeyService/ResolvePersons': forServices('tickets', 'usage', 'privacy'),
  '/lethe.keys.v1.KeyService/WatchRevocations': forServices(
    'tickets',
    'predictions',
    'usage',
    'analytics',
    'privacy',
  ),
  '/lethe.keys.v1.KeyService/AcknowledgeRevocation': forServices(
    'tickets',
    'predictions',
    'usage',
    'analytics',
    'privacy',
  ),
  '/lethe.keys.v1.KeyService/Fence': forServices('privacy'),
  '/lethe.keys.v1.KeyService/PreviewFence': forServices('privacy'),
  '/lethe.keys.v1.KeyService/UnreadableStatus': forServices('privacy'),
  '/lethe.keys.v1.KeyService/Contributors': forServices('analytics'),
  '/lethe.parking.v1.AnalyticsParkingService/ListParkedStreams': forRoles('platform-admin'),
  '/lethe.parking.v1.AnalyticsParkingService/GetParkedStream': forRoles('platform-admin'),
  '/lethe.parking.v1.AnalyticsParkingService/ReplayParkedStreams': forRoles('platform-admin'),
  '/lethe.parking.v1.PredictionsParkingService/ListParkedStreams': forRoles('platform-admin'),
  '/lethe.parking.v1.PredictionsParkingService/GetParkedStream': forRoles('platform-admin'),
  '/lethe.parking.v1.PredictionsParkingService/ReplayParkedStreams': forRoles('platform-admin'),
  '/lethe.rebuild.v1.TicketsRebuildService/Rebuild': forRoles('platform-admin'),
  '/lethe.rebuild.v1.PredictionsRebuildService/Rebuild': forRoles('platform-admin'),
  '/lethe.rebuild.v1.UsageRebuildService/Rebuild': forRoles('platform-admin'),
  '/lethe.rebuild.v1.AnalyticsRebuildService/Rebuild': forRoles('platform-admin'),
  '/grpc.health.v1.Health/Check': open,
  '/grpc.health.v1.Health/Watch': open,
  '/grpc.health.v1.Health/List': open,
};
