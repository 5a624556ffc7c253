/** Two nodes as network namespaces on one wire, each with pods, and the programs of mode `packets` that can be attached. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  type Datapath,
  EndpointKey,
  EndpointRow,
  openDatapath,
  PodRangeKey,
  PodRangeRow,
  rtnetlink,
} from "@isthmus/bpf";
import { OBJECTS } from "@isthmus/bpf/testing";
import { bytesKey, parseAddress, parsePrefix } from "@isthmus/model";
import { outputOf, startPinned } from "../load-process.js";

export type Mode = "requests" | "connects" | "both" | "stream";

export interface Nodes {
  /** Attaches the programs to all devices, or detaches them. */
  setPrograms(on: boolean): Promise<void>;
  /** Runs a client in the first pod of the first node against the pod of this address; its figure. */
  measure(mode: Mode, address: string): Promise<number>;
  /** Packets that the programs of both nodes delivered. */
  delivered(): number;
  remove(): Promise<void>;
}

export const NEAR = "10.1.0.3";
export const FAR = "10.2.0.2";

const SOURCE = fileURLToPath(new URL("../../src/packets/net.c", import.meta.url));
const GATEWAY = "169.254.1.1";
const SECONDS = 0.5;
/** Client and server share a processor, so that what packets cost is what limits them; a stream has both. */
const CPU = 1;

interface Device {
  readonly ifindex: number;
  readonly isUplink: boolean;
}

export async function makeNodes(name: string): Promise<Nodes> {
  const folder = mkdtempSync(join(tmpdir(), `${name}-`));
  const net = join(folder, "net");
  execFileSync("cc", ["-O2", "-static", "-o", net, SOURCE], { stdio: "inherit" });
  const undo: (() => Promise<void> | void)[] = [() => rmSync(folder, { recursive: true })];
  const nodes: { readonly datapath: Datapath; readonly devices: Device[] }[] = [];
  const remove = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };

  function makeNamespace(role: string): string {
    ip("netns", "add", `${name}-${role}`);
    undo.push(() => void ip("netns", "del", `${name}-${role}`));
    return `${name}-${role}`;
  }

  async function makeNode(index: number, netns: string, uplink: string): Promise<void> {
    execFileSync("nsenter", [`--net=/run/netns/${netns}`, "sysctl", "-qw", "net.ipv4.ip_forward=1"]);
    ip("-n", netns, "addr", "add", `192.168.9.${index}/24`, "dev", uplink);
    ip("-n", netns, "link", "set", uplink, "up");
    ip("-n", netns, "route", "add", `10.${3 - index}.0.0/16`, "via", `192.168.9.${3 - index}`);
    const datapath = await openDatapath({
      bpffs: join("/sys/fs/bpf", `${name}-${index}`),
      objectDir: OBJECTS,
      config: { clusterId: 1 },
      mode: "packets",
      netns: `/run/netns/${netns}`,
    });
    undo.push(() => datapath.destroy());
    for (const range of ["10.1.0.0/16", "10.2.0.0/16"]) {
      const { address, length } = parsePrefix(range);
      const key = bytesKey(PodRangeKey.encode({ length, addr: address }));
      await datapath.packets?.podRanges.insert(new Map([[key, PodRangeRow.encode({ cluster: 1, flags: 0 })]]));
    }
    nodes.push({ datapath, devices: [{ ifindex: indexOf(netns, uplink), isUplink: true }] });
  }

  async function makePod(index: number, node: string, address: string): Promise<string> {
    const pod = makeNamespace(`p${address.replaceAll(".", "")}`);
    const { datapath, devices } = nodes[index - 1] ?? fail("node");
    const host = `pod${devices.length}`;
    ip("-n", node, "link", "add", host, "type", "veth", "peer", "name", "eth0", "netns", pod);
    ip("-n", node, "link", "set", host, "up");
    ip("-n", pod, "link", "set", "eth0", "up");
    ip("-n", pod, "addr", "add", `${address}/32`, "dev", "eth0");
    ip("-n", pod, "route", "add", GATEWAY, "dev", "eth0");
    ip("-n", pod, "route", "add", "default", "via", GATEWAY, "dev", "eth0");
    ip("-n", node, "route", "add", `${address}/32`, "dev", host);
    const [mac, hostMac, ifindex] = [macOf(pod, "eth0"), macOf(node, host), indexOf(node, host)];
    ip("-n", pod, "neigh", "add", GATEWAY, "lladdr", hostMac, "dev", "eth0", "nud", "permanent");
    ip("-n", node, "neigh", "add", address, "lladdr", mac, "dev", host, "nud", "permanent");
    const row = devices.length;
    devices.push({ ifindex, isUplink: false });
    const path = datapath.packets ?? fail("mode packets");
    const body = EndpointRow.encode({
      ...EndpointRow.decode(new Uint8Array(EndpointRow.size)),
      ...{ ifindex, mac: rtnetlink.macBytes(mac), hostMac: rtnetlink.macBytes(hostMac), addr: parseAddress(address) },
    });
    path.endpoints.writeBody(row, body.subarray(EndpointRow.offsets.ifindex), EndpointRow.offsets.ifindex);
    path.endpoints.storeWord32(row, EndpointRow.offsets.id, row);
    const key = bytesKey(EndpointKey.encode({ addr: parseAddress(address) }));
    await path.endpointIndex.insert(new Map([[key, new Uint8Array(Uint32Array.of(row).buffer)]]));
    return pod;
  }

  async function startServer(pod: string, address: string): Promise<void> {
    const server = startPinned(pod, CPU, net, ["serve", address]);
    if (server.stdout === null) throw new Error("Cannot start a server");
    await Promise.race([once(server.stdout, "data"), once(server, "exit").then(() => fail("server"))]);
    undo.push(async () => {
      const exit = once(server, "exit");
      server.kill("SIGTERM");
      await exit;
    });
  }

  try {
    const [one, two] = [makeNamespace("n1"), makeNamespace("n2")];
    ip("-n", one, "link", "add", "wire0", "type", "veth", "peer", "name", "wire0", "netns", two);
    for (const [i, netns] of [one, two].entries()) await makeNode(i + 1, netns, "wire0");
    const client = await makePod(1, one, "10.1.0.2");
    await startServer(await makePod(1, one, NEAR), NEAR);
    await startServer(await makePod(2, two, FAR), FAR);
    return {
      async setPrograms(on) {
        for (const { datapath, devices } of nodes) {
          const { links, podPrograms, uplinkPrograms } = datapath.packets ?? fail("mode packets");
          if (!on) await links.retain(new Set());
          else
            for (const { ifindex, isUplink } of devices)
              await links.attach(ifindex, isUplink ? uplinkPrograms : podPrograms);
        }
      },
      measure: async (mode, address) =>
        Number(await outputOf(startPinned(client, mode === "stream" ? 0 : CPU, net, [mode, address, `${SECONDS}`]))),
      delivered: () => nodes.reduce((sum, { datapath }) => sum + (datapath.metrics().get("deliver") ?? 0), 0),
      remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

function ip(...args: string[]): string {
  return execFileSync("ip", args).toString();
}

function indexOf(netns: string, device: string): number {
  return Number(ip("-n", netns, "-o", "link", "show", device).split(":")[0]);
}

function macOf(netns: string, device: string): string {
  return /link\/ether (\S+)/.exec(ip("-n", netns, "link", "show", device))?.[1] ?? fail("MAC");
}

function fail(what: string): never {
  throw new Error(`Cannot measure without a ${what}`);
}
