/** What `run.ts` hands to the suite. */
export interface ClusterGiven {
  readonly kubeconfig: string;
  readonly helm: string;
  readonly kubectl: string;
  /** Of the node. */
  readonly address: string;
  readonly vaultBinary: string;
  /** By image. */
  readonly digests: Readonly<Record<string, string>>;
  /** Undefined: no report is written. */
  readonly reportFile?: string;
}

export function readGiven(text: string | undefined): ClusterGiven {
  if (text === undefined) throw new Error('run npm run test:cluster, which starts the node');
  return JSON.parse(text) as ClusterGiven;
}
