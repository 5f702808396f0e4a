import * as real from '@lethe/platform/sealing/box.ts';
import type { DataKey } from '@lethe/platform/sealing/data-key.ts';
import type { RandomBytes } from '@lethe/platform/lifecycle/clock.ts';
import { sealingSwitch, withTime } from './sealing-switch.ts';

/** `sealing/box.ts` with a switch; loaded in its place by replace-sealing.ts. */

export const boxOverheadBytes = real.boxOverheadBytes;
export const keyIdOfBox = real.keyIdOfBox;

const plaintextStart = 1 + 16 + 12;
const tagBytes = 16;
/** Marks an unsealed box; no random nonce is ever all zeros. */
const noNonce = Buffer.alloc(12);

function isUnsealed(box: Uint8Array): boolean {
  return noNonce.equals(box.subarray(plaintextStart - noNonce.length, plaintextStart));
}

/** Off: a box of the same size and with the same key id, whose content is the plaintext. */
export function sealBox(
  dataKey: DataKey,
  associatedData: Uint8Array,
  plaintext: Uint8Array,
  randomBytes: RandomBytes,
): Buffer {
  sealingSwitch.boxes += 1;
  if (sealingSwitch.isOn) {
    return withTime(() => real.sealBox(dataKey, associatedData, plaintext, randomBytes));
  }
  const box = Buffer.alloc(boxOverheadBytes + plaintext.length);
  box.writeUInt8(1, 0);
  box.set(dataKey.keyId, 1);
  box.set(plaintext, plaintextStart);
  return box;
}

/** Opens what was sealed and takes out what was not, whichever way the switch stands now. */
export function openBox(dataKey: DataKey, associatedData: Uint8Array, box: Uint8Array): Buffer {
  sealingSwitch.boxes += 1;
  if (isUnsealed(box)) return Buffer.from(box.subarray(plaintextStart, box.length - tagBytes));
  return withTime(() => real.openBox(dataKey, associatedData, box));
}
