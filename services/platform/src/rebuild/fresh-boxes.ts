import { sql, type Transaction } from 'kysely';
import type { StreamKey } from '../event-store/streams.ts';

/** A box of a person in a stream that is not theirs. */
export interface OthersBox {
  readonly tenantId: string;
  readonly person: StreamKey;
  readonly stream: StreamKey;
}

/** Counts boxes in the fresh table. */
export async function addToFreshBoxes<Schema>(
  tx: Transaction<Schema>,
  boxes: readonly OthersBox[],
): Promise<void> {
  if (boxes.length === 0) return;
  await sql`
    insert into rebuild_person_boxes as fresh (tenant_id, person_token, person_incarnation, stream_token,
      stream_incarnation, boxes)
    select tenant_id, person_token, person_incarnation, stream_token, stream_incarnation, count(*)
    from unnest(${boxes.map((box) => box.tenantId)}::text[],
      ${boxes.map((box) => box.person.token)}::text[],
      ${boxes.map((box) => box.person.incarnation)}::int4[],
      ${boxes.map((box) => box.stream.token)}::text[],
      ${boxes.map((box) => box.stream.incarnation)}::int4[])
      as given (tenant_id, person_token, person_incarnation, stream_token, stream_incarnation)
    group by 1, 2, 3, 4, 5
    on conflict (tenant_id, person_token, person_incarnation, stream_token, stream_incarnation)
      do update set boxes = fresh.boxes + excluded.boxes`.execute(tx);
}
