import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';
import { writeHeapSnapshot } from 'node:v8';
import { isMainThread } from 'node:worker_threads';

/**
 * Loaded into a server before its main (`--import`), so that what it measures is the product as it is: writes what the
 * process uses to the file of LETHE_MEMORY_PROBE, over and over, and at SIGUSR2 a heap snapshot beside it.
 */

/** Bytes, all of them. */
export interface ProbedMemory {
  readonly atMs: number;
  /** Of the kernel: all pages in memory, and those that no file stands behind. */
  readonly rss: number;
  readonly rssAnon: number;
  readonly rssPeak: number;
  readonly heapUsed: number;
  /** Right after the last full collection: what is alive. 0 before the first one. */
  readonly heapLive: number;
  readonly heapTotal: number;
  readonly external: number;
  readonly arrayBuffers: number;
  /** Linear memories of WebAssembly, each: PGlite's. They are part of `external`. */
  readonly wasmMemories: readonly number[];
  readonly pid: number;
}

const everyMs = 1_000;

/** As much of the global WebAssembly as is used here; TypeScript has it only among the types of browsers. */
interface Wasm {
  readonly Memory: new (...args: readonly never[]) => { readonly buffer: ArrayBufferLike };
  instantiate(source: unknown, imports: unknown): Promise<Instance | { instance: Instance }>;
}

interface Instance {
  readonly exports: object;
}

/** Every memory that an instance exports or is given, by remembering what this process instantiates: weakly. */
function watchWasm(): () => readonly number[] {
  const { WebAssembly: wasm } = globalThis as unknown as { readonly WebAssembly: Wasm };
  const seen = new WeakSet<object>();
  const memories: WeakRef<{ readonly buffer: ArrayBufferLike }>[] = [];
  const rememberIn = (values: object): void => {
    for (const value of Object.values(values)) {
      if (!(value instanceof wasm.Memory) || seen.has(value)) continue;
      seen.add(value);
      memories.push(new WeakRef(value));
    }
  };
  const original = wasm.instantiate.bind(wasm);
  wasm.instantiate = async (source, imports) => {
    const made = await original(source, imports);
    rememberIn(('instance' in made ? made.instance : made).exports);
    Object.values((imports ?? {}) as Record<string, object>).forEach(rememberIn);
    return made;
  };
  return () => memories.flatMap((memory) => memory.deref()?.buffer.byteLength ?? []);
}

/** Kilobytes of a line of /proc/self/status, as bytes. */
function statusBytes(status: string, name: string): number {
  const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status);
  return Number(found?.[1] ?? 0) * 1024;
}

function startProbe(file: string): void {
  const wasmMemories = watchWasm();
  let heapLive = 0;
  const observer = new PerformanceObserver((list) => {
    // The types of Node lack `detail` of the base class; every entry of this kind has it.
    const entries = list.getEntries() as readonly {
      readonly detail?: { readonly kind?: number };
    }[];
    const wasFull = entries.some(({ detail }) => detail?.kind === fullCollection);
    if (wasFull) heapLive = process.memoryUsage().heapUsed;
  });
  observer.observe({ entryTypes: ['gc'] });
  const timer = setInterval(() => {
    const status = readFileSync('/proc/self/status', 'utf8');
    const { heapUsed, heapTotal, external, arrayBuffers } = process.memoryUsage();
    const probed: ProbedMemory = {
      atMs: Date.now(),
      rss: statusBytes(status, 'VmRSS'),
      rssAnon: statusBytes(status, 'RssAnon'),
      rssPeak: statusBytes(status, 'VmHWM'),
      heapUsed,
      heapLive,
      heapTotal,
      external,
      arrayBuffers,
      wasmMemories: wasmMemories(),
      pid: process.pid,
    };
    writeFileSync(file, JSON.stringify(probed));
  }, everyMs);
  timer.unref();
  process.on('SIGUSR2', () => {
    // Under its name once it is whole; the process stands still for some seconds meanwhile.
    renameSync(writeHeapSnapshot(`${file}.unfinished`), snapshotFileOf(file));
  });
}

export function snapshotFileOf(probeFile: string): string {
  return `${probeFile}.heapsnapshot`;
}

/** perf_hooks.constants.NODE_PERFORMANCE_GC_MAJOR. */
const fullCollection = 4;

const file = process.env['LETHE_MEMORY_PROBE'];
if (isMainThread && file !== undefined && file !== '') startProbe(file);
