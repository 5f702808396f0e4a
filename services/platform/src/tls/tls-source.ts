import type { ServiceName } from '@lethe/proto/access.ts';
import { failureFields, failureText } from '../errors/failure.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { createLoop } from '../lifecycle/loop.ts';
import type { Logger } from '../log/logger.ts';
import { readTlsMaterial, type TlsFiles, type TlsMaterial } from './tls-material.ts';

/** TLS files that may be replaced while the process runs. */
export interface TlsSource {
  /** The newest that was right. */
  current(): TlsMaterial;
  /** Told of every later one; answers how to end that. */
  onChange(listener: (material: TlsMaterial) => void): () => void;
  /** Looks at the files now. */
  check(): void;
  /** The files are wrong, and what was read from them before is still in use. */
  warning(): string | undefined;
  /** What is in use has expired: every peer refuses it. */
  problem(): string | undefined;
  stop(): Promise<void>;
}

export interface TlsSourceOptions {
  readonly files: TlsFiles;
  /** The service that the certificate must name; for calls between services. */
  readonly identity?: ServiceName;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default 10 s. */
  readonly pollMs?: number;
}

/** How often a wrong file is complained of again. */
const complainEveryMs = 3_600_000;

/**
 * Reads the files now and every now and then: by their content, as the ways in which they are replaced (a rename, a
 * changed link of Kubernetes, a copy) look different to a file watcher. Certificate and key are two files, so a look
 * between the two writes finds a pair that does not fit; it is found wrong like any other and the next look is right.
 * Throws CONFIG_INVALID when they are wrong at the start.
 */
export function openTlsSource(options: TlsSourceOptions): TlsSource {
  const { files, clock, logger, pollMs = 10_000 } = options;
  let material = readNow(options);
  let warning: string | undefined;
  let complainedMs = 0;
  const listeners = new Set<(changed: TlsMaterial) => void>();

  const complain = (error: unknown) => {
    const text = failureText(error);
    const isOld = text === warning && clock.monotonicMs() - complainedMs < complainEveryMs;
    warning = text;
    if (isOld) return;
    complainedMs = clock.monotonicMs();
    const problem = `${text}; what was read before stays in use`;
    logger.error({ component: 'tls', ...failureFields(error), problem }, 'TLS files are wrong');
  };
  const check = () => {
    let found: TlsMaterial;
    try {
      found = readNow(options);
    } catch (error) {
      complain(error);
      return;
    }
    warning = undefined;
    if (isSame(found, material)) return;
    material = found;
    logger.info({ component: 'tls', address: files.certificateFile }, 'TLS files were replaced');
    for (const listener of listeners) listener(found);
  };
  const loop = createLoop({
    name: 'tls files',
    clock,
    pollMs,
    run: async () => {
      check();
      return 'idle';
    },
    onError: complain,
  });
  loop.start();
  return {
    current: () => material,
    onChange: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    check,
    warning: () => warning,
    problem: () =>
      material.expiresMs > clock.nowMs()
        ? undefined
        : `tls: the certificate ${files.certificateFile} has expired`,
    stop: async () => await loop.stop(),
  };
}

function readNow({ files, identity, clock }: TlsSourceOptions): TlsMaterial {
  const nowMs = clock.nowMs();
  return readTlsMaterial(files, identity === undefined ? { nowMs } : { nowMs, identity });
}

function isSame(a: TlsMaterial, b: TlsMaterial): boolean {
  const sameAuthority =
    a.authority === b.authority ||
    (a.authority !== undefined && b.authority?.equals(a.authority) === true);
  return sameAuthority && a.certificate.equals(b.certificate) && a.privateKey.equals(b.privateKey);
}
