import {
  componentOf,
  type KubeObject,
  type Labels,
  ofKind,
  podsOf,
  type Selector,
} from './kube-objects.ts';

/** A pod, or an address outside of the cluster. */
export type Party =
  | { readonly name: string; readonly address: string }
  | {
      readonly name: string;
      readonly namespace: string;
      readonly namespaceLabels: Labels;
      readonly labels: Labels;
      /** Ports that it listens on, by name. */
      readonly ports: ReadonlyMap<string, number>;
    };

type PodParty = Exclude<Party, { readonly address: string }>;

/** Where a connection goes. */
export interface Port {
  readonly protocol: 'TCP' | 'UDP';
  readonly number: number;
}

interface Peer {
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
  readonly podSelector?: Selector;
  readonly namespaceSelector?: Selector;
}

interface Rule {
  readonly from?: readonly Peer[];
  readonly to?: readonly Peer[];
  readonly ports?: readonly { readonly protocol?: string; readonly port?: string | number }[];
}

interface PolicySpec {
  readonly podSelector: Selector;
  readonly policyTypes: readonly string[];
  readonly ingress?: readonly Rule[];
  readonly egress?: readonly Rule[];
}

/** The pods that rendered objects make, each once. */
export function partiesOf(objects: readonly KubeObject[], namespace: string): readonly Party[] {
  return podsOf(objects).map(({ labels, spec }) => ({
    name: componentOf(labels),
    namespace,
    namespaceLabels: { 'kubernetes.io/metadata.name': namespace },
    labels,
    ports: new Map(
      spec.containers.flatMap(({ ports }) =>
        (ports ?? []).map((port) => [port.name, port.containerPort] as const),
      ),
    ),
  }));
}

/**
 * Every connection that the policies allow, as "a -> b TCP/443", sorted. By the rules of NetworkPolicy: a pod that no
 * policy of a direction selects is open in it; one that any selects is closed but for what some rule allows; a
 * connection between pods needs leave at both ends. Policies are those of one namespace.
 */
export function connections(
  objects: readonly KubeObject[],
  parties: readonly Party[],
  ports: readonly Port[],
  namespace: string,
): readonly string[] {
  const policies = ofKind(objects, 'NetworkPolicy').map(
    ({ spec }) => spec as unknown as PolicySpec,
  );
  const of = (party: Party, direction: string) =>
    isPod(party) && party.namespace === namespace
      ? policies.filter(
          ({ podSelector, policyTypes }) =>
            policyTypes.includes(direction) && selects(podSelector, party.labels),
        )
      : [];
  const byDirection = (direction: string) =>
    new Map(parties.map((party) => [party, of(party, direction)] as const));
  const [egress, ingress] = [byDirection('Egress'), byDirection('Ingress')];
  const may = (from: Party, to: Party, port: Port): boolean => {
    const leaving = egress.get(from) ?? [];
    const entering = ingress.get(to) ?? [];
    const leaves = leaving.some(
      (each) =>
        each.egress?.some((rule) => allows(rule.to, rule.ports, to, to, port, namespace)) === true,
    );
    const enters = entering.some(
      (each) =>
        each.ingress?.some((rule) => allows(rule.from, rule.ports, from, to, port, namespace)) ===
        true,
    );
    return (leaving.length === 0 || leaves) && (entering.length === 0 || enters);
  };
  return parties
    .flatMap((from) =>
      parties.flatMap((to) =>
        from === to
          ? []
          : ports
              .filter((port) => may(from, to, port))
              .map((port) => `${from.name} -> ${to.name} ${port.protocol}/${port.number}`),
      ),
    )
    .toSorted();
}

function allows(
  peers: readonly Peer[] | undefined,
  ports: Rule['ports'],
  other: Party,
  target: Party,
  port: Port,
  namespace: string,
): boolean {
  const isPort = (ports ?? []).some(
    (each) =>
      (each.protocol ?? 'TCP') === port.protocol && numberOf(each.port, target) === port.number,
  );
  const isPeer = (peers ?? []).some((peer) => matches(peer, other, namespace));
  return (ports === undefined || isPort) && (peers === undefined || isPeer);
}

function numberOf(port: string | number | undefined, target: Party): number | undefined {
  if (typeof port !== 'string') return port;
  return isPod(target) ? target.ports.get(port) : undefined;
}

function matches(
  { ipBlock, podSelector, namespaceSelector }: Peer,
  party: Party,
  namespace: string,
): boolean {
  if (ipBlock !== undefined) {
    if (isPod(party)) return false;
    const isExcepted = (ipBlock.except ?? []).some((cidr) => isWithin(party.address, cidr));
    return isWithin(party.address, ipBlock.cidr) && !isExcepted;
  }
  if (!isPod(party)) return false;
  const isThere =
    namespaceSelector === undefined
      ? party.namespace === namespace
      : selects(namespaceSelector, party.namespaceLabels);
  return isThere && (podSelector === undefined || selects(podSelector, party.labels));
}

function isPod(party: Party): party is PodParty {
  return 'labels' in party;
}

/** An empty selector selects everything. */
function selects({ matchLabels, matchExpressions }: Selector, labels: Labels): boolean {
  const isEqual = Object.entries(matchLabels ?? {}).every(
    ([name, value]) => labels[name] === value,
  );
  const fits = (matchExpressions ?? []).every(({ key, operator, values }) => {
    const value = labels[key];
    switch (operator) {
      case 'In':
        return value !== undefined && (values ?? []).includes(value);
      case 'NotIn':
        return value === undefined || !(values ?? []).includes(value);
      case 'Exists':
        return value !== undefined;
      case 'DoesNotExist':
        return value === undefined;
    }
  });
  return isEqual && fits;
}

function isWithin(address: string, cidr: string): boolean {
  const [base = '', bits = ''] = cidr.split('/');
  const size = 2 ** (32 - Number(bits));
  return Math.floor(numberOfAddress(address) / size) === Math.floor(numberOfAddress(base) / size);
}

function numberOfAddress(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}
