/**
 * The plan of a lab: everything that can be known before the first process starts.
 *
 * In: the options of `up` and the lab's index on this machine. Out: names, addresses and folders, as plain data that is
 * written to `lab.json`; `down`, `ps` and the supervisor read it there.
 * Invariant: a plan is a pure function of its options, so that all readers compute the same names.
 */
import { clusterAddresses, labAddresses, macOf, nodeAddress } from "./addresses.js";
import { labError } from "./errors.js";

/** What the agents' programs see: what sockets dial, or the packets of pods too. */
export type DatapathMode = "sockets" | "packets";

/** One machine on the underlay: a node, or the control plane of a cluster. */
export interface MachinePlan {
  readonly address: string;
  /** The underlay's end of the machine's link. */
  readonly port: string;
  /** Derived from the address, so that neighbours need not resolve a restarted machine again. */
  readonly mac: string;
}

/** One node of a cluster: name unique in the lab, address in the underlay. */
export interface NodePlan extends MachinePlan {
  readonly name: string;
  readonly cluster: string;
}

/** One cluster: its number (1..16), the address of its control plane, its ranges (CIDR). */
export interface ClusterPlan {
  readonly name: string;
  readonly id: number;
  readonly apiAddress: string;
  readonly podCidr: string;
  readonly serviceCidr: string;
  readonly kubernetesServiceAddress: string;
  readonly dnsServiceAddress: string;
  readonly nodes: readonly NodePlan[];
}

export interface LabPlan {
  readonly version: 1;
  readonly name: string;
  /** Number of this lab on this machine, 0..31: selects the underlay's range. */
  readonly index: number;
  /** Without the mesh's processes and without CNI: nodes register and stay NotReady. */
  readonly bare: boolean;
  /** `--datapath-mode` of the agents; undefined: their default. */
  readonly datapathMode?: DatapathMode;
  readonly underlay: { readonly prefixLength: 16; readonly rootAddress: string; readonly storeAddress: string };
  /** Name of the one link in the root namespace. */
  readonly rootLink: string;
  /** The lab's control group, relative to the mount point of every hierarchy. */
  readonly cgroup: string;
  readonly clusters: readonly ClusterPlan[];
}

export interface PlanOptions {
  readonly name: string;
  readonly index: number;
  readonly clusters: readonly string[];
  readonly nodesPerCluster: number;
  readonly bare: boolean;
  readonly datapathMode?: DatapathMode | undefined;
}

const LAB_NAME = /^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$/;
const CLUSTER_NAME = /^[a-z]([a-z0-9-]{0,22}[a-z0-9])?$/;

export function makePlan(options: PlanOptions): LabPlan {
  checkOptions(options);
  const lab = labAddresses(options.index);
  return {
    version: 1,
    name: options.name,
    index: options.index,
    bare: options.bare,
    ...(options.datapathMode === undefined ? {} : { datapathMode: options.datapathMode }),
    underlay: { prefixLength: 16, rootAddress: lab.root, storeAddress: lab.store },
    rootLink: `isthmus${options.index}`,
    cgroup: `isthmus-${options.name}`,
    clusters: options.clusters.map((name, position) => planCluster(options, name, position + 1)),
  };
}

function planCluster(options: PlanOptions, name: string, id: number): ClusterPlan {
  const nodes = Array.from({ length: options.nodesPerCluster }, (_, n) => ({
    name: `${name}-${n + 1}`,
    cluster: name,
    address: nodeAddress(options.index, id, n + 1),
    port: `n${id}-${n + 1}`,
    mac: macOf(nodeAddress(options.index, id, n + 1)),
  }));
  return { name, id, ...clusterAddresses(options.index, id), nodes };
}

function checkOptions(options: PlanOptions): void {
  checkLabName(options.name);
  const { clusters, nodesPerCluster } = options;
  if (clusters.length < 1 || clusters.length > 16) throw labError("USAGE", "Choose between 1 and 16 clusters");
  if (new Set(clusters).size !== clusters.length) throw labError("USAGE", "Name each cluster only once");
  for (const name of clusters) {
    if (!CLUSTER_NAME.test(name)) {
      throw labError("USAGE", `Cluster name "${name}" is not a short DNS label (a-z, 0-9, "-", at most 24 characters)`);
    }
  }
  if (!Number.isInteger(nodesPerCluster) || nodesPerCluster < 1 || nodesPerCluster > 16) {
    throw labError("USAGE", "Choose between 1 and 16 nodes per cluster");
  }
}

export function checkLabName(name: string): void {
  if (!LAB_NAME.test(name)) {
    throw labError("USAGE", `Lab name "${name}" is not a short DNS label (a-z, 0-9, "-", at most 20 characters)`);
  }
}

/** The machine that runs a cluster's control plane. */
export function controlPlaneMachine({ id, apiAddress }: ClusterPlan): MachinePlan {
  return { address: apiAddress, port: `c${id}`, mac: macOf(apiAddress) };
}

export function allNodes(plan: LabPlan): readonly NodePlan[] {
  return plan.clusters.flatMap((cluster) => cluster.nodes);
}
