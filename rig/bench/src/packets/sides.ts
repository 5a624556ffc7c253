/** The sides that are compared, each on a network of its own of the same shape: what they measure follows each other within one run. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { resolveKubeProxy } from "@isthmus/lab";
import { PROXY_PROGRAMS, type ProxyMode } from "@isthmus/lab/testing";
import { MeshError } from "@isthmus/model";
import type { Later } from "../undoing.js";
import { addKubeProxies } from "./kube-proxy.js";
import { CLUSTER_IPS, type Mode, makeNetwork, type Network, type Path, SERVERS } from "./network.js";
import { attachPrograms, type Programs } from "./programs.js";

export type SideName = "direct" | "programs" | "monitored" | "policy" | ProxyMode;

export interface Side {
  readonly name: SideName;
  /** What it dials. */
  readonly what: string;
  /** One figure of a client, its unit as in net.c; undefined for what is no other than that of another side. */
  measure(mode: Mode, path: Path): Promise<number | undefined>;
}

export interface Sides {
  readonly sides: readonly Side[];
  /** Sentences about those that this machine cannot have. */
  readonly missing: readonly string[];
}

const SOURCE = fileURLToPath(new URL("../../src/packets/net.c", import.meta.url));

export async function makeSides(later: Later): Promise<Sides> {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-packets-"));
  later(() => rmSync(folder, { recursive: true }));
  const program = join(folder, "net");
  execFileSync("cc", ["-O2", "-static", "-o", program, SOURCE], { stdio: "inherit" });
  const network = (letter: string) => makeNetwork(`mp${process.pid % 100000}${letter}`, program, later);
  const { versions, missing } = await findProxies();
  const networks = new Map<ProxyMode, Network>();
  for (const mode of versions.keys()) networks.set(mode, await network(mode.charAt(0)));
  if (networks.size > 0) await addKubeProxies(networks);
  const sides = [
    direct(await network("d")),
    ...(await ours(await network("o"), later)),
    await enforced(await network("p"), later),
    ...proxies(networks, versions),
  ];
  return { sides, missing };
}

function direct({ measure }: Network): Side {
  return {
    name: "direct",
    what: "the pod's address, by plain kernel routing, without conntrack",
    measure: (mode, path) => measure(mode, SERVERS[path]),
  };
}

/** The programs without and with events of flows, of which there are some where connections are made. */
async function ours(network: Network, later: Later): Promise<readonly Side[]> {
  const programs = await attachPrograms(network, later);
  const measure = measuring(network, programs);
  return [
    { name: "programs", what: "a ClusterIP, by our programs on sockets and packets, with conntrack", measure },
    {
      name: "monitored",
      what: "the same, while events of all flows are written and read",
      async measure(mode, path) {
        if (mode === "requests" || mode === "stream") return undefined;
        programs.writeFlows(true);
        return measure(mode, path).finally(() => programs.writeFlows(false));
      },
    },
  ];
}

/** The programs with a policy at each end, while events of all flows are written and read. */
async function enforced(network: Network, later: Later): Promise<Side> {
  const programs = await attachPrograms(network, later, { enforce: true });
  programs.writeFlows(true);
  const measure = measuring(network, programs);
  return {
    name: "policy",
    what: "a ClusterIP, with a policy of 100 identities and 100 ports at each end, while events of all flows are written and read",
    async measure(mode, path) {
      const before = programs.judged();
      const figure = await measure(mode, path);
      if (programs.judged() === before) throw new Error("Cannot trust the run: no policy was asked");
      return figure;
    },
  };
}

/** Measures on the network of the programs, which must deliver. */
function measuring(network: Network, programs: Programs) {
  return async (mode: Mode, path: Path): Promise<number> => {
    const before = programs.delivered();
    const figure = await network.measure(mode, CLUSTER_IPS[path]);
    if (programs.delivered() === before) throw new Error("Cannot trust the run: the programs delivered nothing");
    return figure;
  };
}

function proxies(networks: ReadonlyMap<ProxyMode, Network>, versions: ReadonlyMap<ProxyMode, string>): readonly Side[] {
  return [...networks].map(([name, { measure }]) => ({
    name,
    what: `a ClusterIP, by the rules of the real kube-proxy for three Services, its best case; ${versions.get(name)}`,
    measure: (mode, path) => measure(mode, CLUSTER_IPS[path]),
  }));
}

/** The modes of kube-proxy that this machine can run, each with the version of the program that it calls. */
async function findProxies() {
  const versions = new Map<ProxyMode, string>();
  const missing: string[] = [];
  for (const [mode, program] of Object.entries(PROXY_PROGRAMS) as [ProxyMode, string][]) {
    const { error, stdout } = spawnSync(program, ["--version"], { encoding: "utf8" });
    if (error === undefined) versions.set(mode, stdout.trim());
    else missing.push(`kube-proxy in mode ${mode} is not measured: there is no "${program}" in PATH`);
  }
  try {
    if (versions.size > 0) await resolveKubeProxy({ onProgress: console.error });
  } catch (error) {
    missing.push(`kube-proxy is not measured: ${MeshError.from(error).message}`);
    versions.clear();
  }
  return { versions, missing };
}
