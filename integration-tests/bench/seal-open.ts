import { createCipheriv, createDecipheriv, createSecretKey, randomBytes } from 'node:crypto';
import { createPooledRandomness } from '@lethe/platform/event-store/pooled-randomness.ts';
import type { TenantId, Token } from '@lethe/platform/ids/ids.ts';
import { type ListedPart, partAssociatedData } from '@lethe/platform/sealing/associated-data.ts';
import { openUnder, sealUnder } from '@lethe/platform/sealing/part.ts';
import { sealingSample } from '@lethe/platform/testing/sealing-sample.ts';
import { testLease } from '@lethe/platform/testing/test-lease.ts';
import { cpuUs } from './cpu-time.ts';
import { figureOf, type Tell } from './figure.ts';
import { combinePairs, runPairs } from './pairs.ts';

const pairs = 31;
const pairsForMs = 5_000;
const boxesPerSide = 4_000;
/** A record has three parts or so: its header and list of parts are encoded once for all of them. */
const partsPerRecord = 3;
const plaintext = randomBytes(1024);

function cpuUsPerBox(work: (index: number) => void): number {
  const before = cpuUs();
  for (let index = 0; index < boxesPerSide; index += 1) work(index);
  return (cpuUs() - before) / boxesPerSide;
}

/** What the product does for a box of 1 KiB: bind it to its header and part list, look at the lease, seal or open. */
function lethe() {
  const sealed = sealingSample().sealed();
  const { header, parts } = sealed;
  const part = parts.find(({ name }) => name === 'content');
  if (header === undefined || part === undefined) throw new RangeError('the sample has content');
  const lease = testLease({
    tenantId: header.tenantId as TenantId,
    scope: { kind: 'ticket', token: 'ab'.repeat(16) as Token },
    secretBytes: randomBytes(32),
  });
  const randomness = createPooledRandomness(randomBytes);
  let bind: (listed: ListedPart) => Buffer = partAssociatedData(header, parts);
  const associatedData = (index: number) => {
    if (index % partsPerRecord === 0) bind = partAssociatedData(header, parts);
    return bind(part);
  };
  const seal = (index: number) => sealUnder(lease, associatedData(index), plaintext, randomness);
  const box = seal(0);
  return { seal, open: (index: number) => openUnder(lease, associatedData(index), box) };
}

/** The least that AES-256-GCM over 1 KiB costs here: no associated data, no box, the nonce from the same pool. */
function bare() {
  const secret = createSecretKey(randomBytes(32));
  const randomness = createPooledRandomness(randomBytes);
  const seal = () => {
    const nonce = randomness(12);
    const cipher = createCipheriv('aes-256-gcm', secret, nonce, { authTagLength: 16 });
    const text = cipher.update(plaintext);
    cipher.final();
    return { nonce, text, tag: cipher.getAuthTag() };
  };
  const box = seal();
  const open = () => {
    const decipher = createDecipheriv('aes-256-gcm', secret, box.nonce, { authTagLength: 16 });
    decipher.setAuthTag(box.tag);
    decipher.update(box.text);
    decipher.final();
  };
  return { seal, open };
}

/** CPU per box of 1 KiB against bare node:crypto. */
export async function measureSealOpen(_names: ReadonlySet<string>, tell: Tell): Promise<void> {
  const ours = lethe();
  const theirs = bare();
  for (const name of ['seal', 'open'] as const) {
    const measured = () => cpuUsPerBox(ours[name]);
    const baseline = () => cpuUsPerBox(theirs[name]);
    await runPairs(3, measured, baseline, pairsForMs);
    const result = combinePairs(await runPairs(pairs, measured, baseline, pairsForMs));
    tell(
      figureOf(
        {
          name,
          what: `${name} 1 KiB with AAD and commitment`,
          unit: 'µs CPU',
          baselineWhat: 'bare AES-256-GCM',
          target: { sense: 'at most', limit: name === 'seal' ? 10 : 6, of: 'measured' },
        },
        result,
      ),
    );
  }
}
