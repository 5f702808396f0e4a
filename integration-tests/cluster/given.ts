/** What a runner hands to its suite. */
export interface NodeGiven {
  /** Of the node. */
  readonly address: string;
  readonly vaultBinary: string;
  /** Undefined: no report is written. */
  readonly reportFile?: string;
}

/** Of `run.ts`. */
export interface ClusterGiven extends NodeGiven {
  readonly kubeconfig: string;
  readonly helm: string;
  readonly kubectl: string;
  /** By image. */
  readonly digests: Readonly<Record<string, string>>;
  /** Undefined: no trace is looked at, which is said aloud. */
  readonly collectorBinary?: string;
}

/** Of `run-page.ts`. */
export interface PageGiven extends NodeGiven {
  /** A clone in which nothing was done yet. */
  readonly checkout: string;
  /** Of the person who types: kubectl, helm and docker are found and reach what they shall. */
  readonly env: Readonly<Record<string, string>>;
  /** A process in the network of the machine. */
  readonly outsidePid: number;
}

/** What the runner left in the environment; `runner` is the command that does. */
export function readGiven<Given extends NodeGiven>(
  text: string | undefined,
  runner: string,
): Given {
  if (text === undefined) throw new Error(`${runner} starts the node that this needs`);
  return JSON.parse(text) as Given;
}
