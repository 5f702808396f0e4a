import { type Person, PersonKind } from '@lethe/proto/gen/lethe/people/v1/person.ts';
import type { TokenMaker } from '../key-client/port.ts';
import type { NamedPerson } from './family.ts';
import { checkSourceText, idBytesMax } from './parse-event.ts';
import type { Problems } from '../grpc/parse-request.ts';

const aliasesMax = 32;
const nameBytesMax = 1024;
const avatarBytesMax = 64 * 1024;

const kinds: ReadonlySet<unknown> = new Set([
  PersonKind.PERSON_KIND_REQUESTER,
  PersonKind.PERSON_KIND_AGENT,
]);

/** Holds a person to the rules; `path` is that of the part. */
export function checkPerson(person: Person, path: string, problems: Problems): void {
  if (!kinds.has(person.kind)) problems.add(`${path}.kind`, 'must say requester or agent');
  checkSourceText(person.naturalId, `${path}.natural_id`, problems);
  checkLength(person.name, `${path}.name`, nameBytesMax, problems);
  checkLength(person.displayName, `${path}.display_name`, nameBytesMax, problems);
  checkLength(person.email, `${path}.email`, idBytesMax, problems);
  checkLength(person.phone, `${path}.phone`, idBytesMax, problems);
  checkLength(person.avatar, `${path}.avatar`, avatarBytesMax, problems);
  if (person.aliasIds.length > aliasesMax) {
    problems.add(`${path}.alias_ids`, `must be at most ${aliasesMax}`);
  }
  for (const [index, alias] of person.aliasIds.entries()) {
    checkSourceText(alias, `${path}.alias_ids[${index}]`, problems);
  }
}

function checkLength(text: string, field: string, bytesMax: number, problems: Problems): void {
  if (Buffer.byteLength(text) > bytesMax)
    problems.add(field, `must have at most ${bytesMax} bytes`);
}

/** The tokens of a person: of the natural id, and of everything else by which they may be asked for. */
export function namePerson(part: string, person: Person, tokens: TokenMaker): NamedPerson {
  const aliases = person.aliasIds.map((id) => tokens.alias('id', id));
  if (person.email.trim() !== '') aliases.push(tokens.alias('email', person.email));
  if (person.phone.trim() !== '') aliases.push(tokens.alias('phone', person.phone));
  return { part, token: tokens.person(person.naturalId), aliases };
}
