import { createHash } from 'node:crypto';
import { NewPredictionEvent } from '@lethe/proto/gen/lethe/predictions/v1/service.ts';
import { NewTicketEvent } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { NewUsageEvent } from '@lethe/proto/gen/lethe/usage/v1/service.ts';

/** An event as a caller would append it, with the family that says which method takes it. */
export type GeneratedEvent =
  | { readonly family: 'tickets'; readonly event: NewTicketEvent }
  | { readonly family: 'predictions'; readonly event: NewPredictionEvent }
  | { readonly family: 'usage'; readonly event: NewUsageEvent };

export type EventFamily = GeneratedEvent['family'];

/**
 * A UUIDv7 (RFC 9562) whose random bits are a hash of the label: the same event gets the same id again, so that
 * sending it again changes nothing.
 */
export function uuidV7Of(label: string, atMs: number): string {
  const bytes = createHash('sha256').update(label).digest().subarray(0, 16);
  bytes.writeUIntBE(atMs, 0, 6);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** One line of `lethe generate`: the append message as protobuf JSON, with its tenant and family. */
export function generatedEventJson(tenantId: string, generated: GeneratedEvent): string {
  const head = { tenant: tenantId, family: generated.family };
  return JSON.stringify(Object.assign(head, messageJson(generated)));
}

function messageJson(generated: GeneratedEvent): unknown {
  switch (generated.family) {
    case 'tickets':
      return NewTicketEvent.toJSON(generated.event);
    case 'predictions':
      return NewPredictionEvent.toJSON(generated.event);
    case 'usage':
      return NewUsageEvent.toJSON(generated.event);
  }
}
