import type { FamilyName } from '../domain/families.ts';

/** A part of a chunk: one manifest's range in one partition. */
export interface ChunkPart {
  readonly manifestId: string;
  readonly topic: string;
  readonly partition: number;
  readonly firstSequence: bigint;
  readonly lastSequence: bigint;
  /** The order in which the parts were stored. */
  readonly place: number;
}

/** What a chunk left behind when it was committed. */
export interface StoredChunk {
  readonly manifestId: string;
  readonly projectionVersion: number;
  readonly decisionBits: Buffer;
  readonly decisionCount: number;
  readonly inserts: readonly StoredInsert[];
}

export interface StoredInsert {
  readonly family: FamilyName;
  readonly month: number;
  readonly rows: number;
  readonly sha256: Buffer;
  readonly body: Buffer;
}

/** Why a chunk was copied by its hash instead of being folded again. */
export type WhyCopied = 'erased' | 'parked' | 'unreadable' | 'version';

/** A chunk that was copied, as the report lists it. */
export interface CopiedChunk {
  readonly manifestId: string;
  readonly why: WhyCopied;
  readonly parts: readonly (ChunkPart & { readonly erased: number })[];
}

/** A chunk of which something is wrong although all its records are there. */
export interface BrokenChunk {
  readonly manifestId: string;
  readonly kind: 'folds to other rows' | 'stored rows do not match their hash';
  /** The families that differ. */
  readonly families: readonly string[];
}
