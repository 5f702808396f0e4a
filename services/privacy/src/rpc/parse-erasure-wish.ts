import { ErasureGround } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import type { RequestErasureRequest } from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import type { FieldViolation } from '@lethe/platform/errors/service-error.ts';
import { invalidFields } from '@lethe/platform/grpc/parse-request.ts';
import { type ErasureId, isToken, isUuidText, type Token } from '@lethe/platform/ids/ids.ts';
import type { PersonId } from '../persons.ts';

/** A request for an erasure, parsed. */
export interface ErasureWish {
  readonly person: PersonId;
  readonly ground: ErasureGround;
  readonly isDryRun: boolean;
  /** Empty: whoever has the id, if only one person does. */
  readonly confirmed: readonly Token[];
  /** Undefined: the server makes one. */
  readonly erasureId: ErasureId | undefined;
}

const idBytesMax = 256;
const confirmedMax = 100;

const grounds: ReadonlySet<number> = new Set(
  Object.values(ErasureGround).filter(
    (ground) => ground > ErasureGround.ERASURE_GROUND_UNSPECIFIED,
  ),
);

const fields = {
  personId: { field: 'person_id', kind: 'natural-id' },
  email: { field: 'email', kind: 'email' },
  phone: { field: 'phone', kind: 'phone' },
} as const;

function parsePerson(
  person: RequestErasureRequest['person'],
  violations: FieldViolation[],
): PersonId | undefined {
  if (person === undefined) {
    const description = 'must be given as person_id, email, phone or person_token';
    violations.push({ field: 'person', description });
    return undefined;
  }
  if (person.$case === 'personToken') {
    const token = person.value.toLowerCase();
    if (isToken(token)) return { kind: 'token', value: token };
    violations.push({ field: 'person_token', description: 'must be 32 hex digits' });
    return undefined;
  }
  const { field, kind } = fields[person.$case];
  if (person.value.trim() === '' || Buffer.byteLength(person.value) > idBytesMax) {
    const description = `must be 1 to ${idBytesMax} bytes and not blank`;
    violations.push({ field, description });
  }
  return { kind, value: person.value };
}

function parseConfirmed(texts: readonly string[], violations: FieldViolation[]): Token[] {
  const tokens = [...new Set(texts.map((text) => text.toLowerCase()))].filter(isToken);
  const isEachToken = texts.every((text) => isToken(text.toLowerCase()));
  if (!isEachToken || texts.length > confirmedMax) {
    const description = `must be at most ${confirmedMax} tokens of 32 hex digits`;
    violations.push({ field: 'confirmed_person_tokens', description });
  }
  return tokens.toSorted();
}

/** Throws INVALID_FIELDS with every broken rule. A dry run may leave the ground open. */
export function parseErasureWish(request: RequestErasureRequest): ErasureWish {
  const violations: FieldViolation[] = [];
  const person = parsePerson(request.person, violations);
  const confirmed = parseConfirmed(request.confirmedPersonTokens, violations);
  const { ground, dryRun } = request;
  const isOpenGround = dryRun && ground === ErasureGround.ERASURE_GROUND_UNSPECIFIED;
  if (!grounds.has(ground) && !isOpenGround) {
    violations.push({ field: 'ground', description: 'must be one of the known grounds' });
  }
  const erasureId = request.erasureId.toLowerCase();
  const isUuid = isUuidText(erasureId);
  if (erasureId !== '' && !isUuid) {
    violations.push({ field: 'erasure_id', description: 'must be a UUID in text form, or empty' });
  }
  if (person === undefined || violations.length > 0) throw invalidFields(violations);
  return { person, ground, isDryRun: dryRun, confirmed, erasureId: isUuid ? erasureId : undefined };
}
