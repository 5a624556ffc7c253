/**
 * The underlay: a network namespace with one bridge, to which the eth0 of every node and control plane connects. The shared etcd
 * listens on the bridge itself. The root namespace has one link into it and nothing else of a lab.
 */
import { at } from "../api/json.js";
import { ip, ipJson, type NetworkNamespace, tc } from "../host/links.js";
import { labAddresses, MAX_LABS, macOf } from "../plan/addresses.js";
import { labError } from "../plan/errors.js";
import type { LabPlan, MachinePlan } from "../plan/plan.js";

/**
 * The tc block that every frame passes where it enters the bridge: from a port, or from the underlay itself. The filters of faults
 * are in it, not on a port, which goes when its machine restarts.
 */
export const FRAME_BLOCK = 1;

export async function setUpUnderlay(plan: LabPlan, pid: number): Promise<void> {
  const prefix = plan.underlay.prefixLength;
  await ip({ pid }, [
    "link set lo up",
    // A fixed hardware address: without one the bridge takes that of a port, and it changes when a node comes back, so that all
    // neighbours would have to resolve the store again.
    `link add br0 address ${macOf(plan.underlay.storeAddress)} type bridge forward_delay 0 stp_state 0`,
    "link set br0 up",
    `addr add ${plan.underlay.storeAddress}/${prefix} dev br0`,
  ]);
  await ip("root", [
    `link add ${plan.rootLink} type veth peer name root netns ${pid}`,
    `addr add ${plan.underlay.rootAddress}/${prefix} dev ${plan.rootLink}`,
    `link set ${plan.rootLink} up`,
  ]);
  await tc({ pid }, [`qdisc add dev br0 egress_block ${FRAME_BLOCK} clsact`]);
  await openPort("root", pid);
}

async function openPort(port: string, underlayPid: number): Promise<void> {
  await tc({ pid: underlayPid }, [`qdisc add dev ${port} ingress_block ${FRAME_BLOCK} clsact`]);
  await ip({ pid: underlayPid }, [`link set ${port} master br0 up`]);
}

/** Creates the eth0 of a machine, given a process in its network namespace. A machine that restarts has the same addresses. */
export async function connectMachine(
  plan: LabPlan,
  { port, mac, address }: MachinePlan,
  pid: number,
  underlayPid: number,
): Promise<void> {
  await ip({ pid: underlayPid }, [`link del ${port}`]).catch(() => undefined);
  await ip("root", [`link add eth0 address ${mac} netns ${pid} type veth peer name ${port} netns ${underlayPid}`]);
  await openPort(port, underlayPid);
  await ip({ pid }, [
    "link set lo up",
    `addr add ${address}/${plan.underlay.prefixLength} dev eth0`,
    "link set eth0 up",
    `route add default via ${plan.underlay.rootAddress}`,
  ]);
}

/** Adds routes from a control plane to its pods: each node's pod range via the node. */
export async function routePods(where: NetworkNamespace, routes: ReadonlyMap<string, string>): Promise<void> {
  const lines = [...routes].map(([cidr, via]) => `route replace ${cidr} via ${via}`);
  if (lines.length > 0) await ip(where, lines);
}

/** First index whose underlay overlaps no address of the root namespace and is not in `taken`. */
export async function freeIndex(taken: ReadonlySet<number>): Promise<number> {
  const links = await ipJson("root", ["-4", "addr", "show"]);
  const used = JSON.stringify(links);
  for (let index = 0; index < MAX_LABS; index++) {
    const network = labAddresses(index).root.split(".").slice(0, 2).join(".");
    if (!taken.has(index) && !used.includes(`"local":"${network}.`)) return index;
  }
  throw labError("UNFIT", `Cannot find a free range for the lab: all of 10.200.0.0/16 to 10.231.0.0/16 are in use`);
}

/** True when the root namespace has a link of that name. */
export async function hasRootLink(name: string): Promise<boolean> {
  const links = await ipJson("root", ["link", "show"]);
  return Array.isArray(links) && links.some((link) => at(link, "ifname") === name);
}
