/**
 * The schema version of each event type that has left version 1. It goes into the record's header and
 * names the golden record. Raise it by one whenever the event, or a message inside it, gets a field.
 */
export const schemaVersions: { readonly [type: string]: number } = {};

/** The schema version in which events of this type are written now. */
export function schemaVersionOf(
  type: string,
  versions: { readonly [type: string]: number } = schemaVersions,
): number {
  return Object.hasOwn(versions, type) ? (versions[type] ?? 1) : 1;
}
