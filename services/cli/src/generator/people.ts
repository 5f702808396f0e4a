import { createHash } from 'node:crypto';
import { Person, PersonKind } from '@lethe/proto/gen/lethe/people/v1/person.ts';
import type { Language, Tier } from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import type { SeededRandom } from './random.ts';
import { firstNameEnds, firstNameStarts, surnameEnds, surnameStarts } from './words.ts';

/** A generated human. Every text in it has at least `canaryBytesMin` bytes, so that a byte search can find it. */
export interface GeneratedPerson {
  readonly profile: Person;
  readonly name: string;
  readonly email: string;
  readonly phone: string;
  /** A number like a state gives its citizens; of no real state's form. Appears in message texts alone. */
  readonly nationalId: string;
}

/** Somebody who asks for help: how their tickets look. */
export interface GeneratedRequester extends GeneratedPerson {
  readonly language: Language;
  readonly tier: Tier;
}

/** Shorter texts could occur in a file by chance, so a search for them would prove nothing. */
export const canaryBytesMin = 16;

/** The person number `index` of this tenant; `label` keeps the natural ids of different seeds apart. */
export function generatePerson(
  random: SeededRandom,
  place: { readonly label: string; readonly tenantId: string; readonly index: number },
  kind: 'requester' | 'agent',
): GeneratedPerson {
  const name = generateName(random);
  const serial = String(place.index).padStart(4, '0');
  const host = kind === 'agent' ? `support.${place.tenantId}.example` : `${place.tenantId}.example`;
  const email = `${asciiOf(name)}.${serial}@${host}`;
  // Country code 999 is assigned to nobody; 15 digits are the most that E.164 allows.
  const phone = `+999 ${random.digits(4)} ${random.digits(4)} ${serial}`;
  const nationalId = `NX-${random.digits(6)}-${random.digits(4)}-${serial}`;
  const idHash = createHash('sha256').update(`${place.label}/${kind}/${serial}`).digest('hex');
  const profile = Person.fromPartial({
    kind: kind === 'agent' ? PersonKind.PERSON_KIND_AGENT : PersonKind.PERSON_KIND_REQUESTER,
    naturalId: `${kind}-${idHash.slice(0, 12)}`,
    name,
    email,
    phone,
    displayName: kind === 'agent' ? `${name} (support)` : '',
    avatar: kind === 'agent' ? `https://avatars.${place.tenantId}.example/${serial}.png` : '',
  });
  return { profile, name, email, phone, nationalId };
}

function generateName(random: SeededRandom): string {
  const first = random.pick(firstNameStarts) + random.pick(firstNameEnds);
  const surname = () => random.pick(surnameStarts) + random.pick(surnameEnds);
  const name = `${first} ${surname()}`;
  return Buffer.byteLength(name) >= canaryBytesMin ? name : `${name}-${surname()}`;
}

/** Lower-case letters without marks, words joined by dots: the local part of an e-mail address. */
function asciiOf(name: string): string {
  const folded = name
    .normalize('NFD')
    .replaceAll(/[ØøŁł]/g, (letter) => ('Øø'.includes(letter) ? 'o' : 'l'));
  return folded
    .replaceAll(/[^A-Za-z ]/g, '')
    .toLowerCase()
    .replaceAll(' ', '.');
}
