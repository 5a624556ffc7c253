/**
 * An in-memory `World` for tests: virtual time, two clusters, a kernel that follows the slices after a delay, and a client
 * that sends 100 requests a second.
 *
 * Invariant: time passes only in `until`, so a run is the same every time.
 */

import type { Fault } from "@isthmus/lab";
import type { Mark } from "../../judge/runs.js";
import { madeSample } from "../../judge/testing/made-traffic.js";
import type { Mono, Sample } from "../../samples/sample.js";
import { type FakeBackend, type FakePod, request } from "./fake-request.js";
import type { Affinity, FaultInForce, Part, PlacedPod, PortProbe, RigWorld, Suspension } from "../world.js";

export interface FakeBehaviour {
  /** Delay from a slice to the kernel; Infinity for a suspended agent. */
  readonly mapLagMs?: number;
  /** The server exits on SIGTERM at once. */
  readonly lingerMs?: number;
  readonly agentStaysDead?: boolean;
  /** `holdDown`, SIGSTOP and `startFault` do nothing. */
  readonly holdsNothing?: boolean;
  readonly storeIdStays?: boolean;
  /** Connects to a dead backend are refused, and not moved to another one. */
  readonly movesNothing?: boolean;
  /** All pods of a cluster are on one node. */
  readonly oneNode?: boolean;
  /** The backends of a cluster without a control plane are taken away. */
  readonly failsOver?: boolean;
  /** A part whose loss stops all traffic. */
  readonly fatal?: Part | "node-agent";
}

export class FakeWorld implements RigWorld {
  readonly samples: Sample[] = [];
  readonly marks: Mark[] = [];
  /** Calls of `restore`. */
  restored = 0;
  readonly #ways: FakeBehaviour;
  readonly #pods = new Map<string, FakePod[]>();
  #seen: { at: Mono; cluster: string; ready: number }[] = [];
  readonly #kernel = new Map<string, readonly string[]>();
  readonly #down = new Set<Part | "node-agent">();
  #events: { at: Mono; run: () => void }[] = [];
  #affinity: Affinity = "local";
  #fault: Fault | null = null;
  #now = 0;
  #pid = 100;
  #store = 1;
  #next = 1;
  #rolling = 0;

  constructor(ways: FakeBehaviour = {}) {
    this.#ways = ways;
    for (const cluster of ["east", "west"]) {
      this.#pods.set(cluster, []);
      for (let n = 0; n < 3; n += 1) this.#pods.get(cluster)?.push(this.#pod(cluster, true));
      this.#kernel.set(cluster, this.ready(cluster));
    }
  }

  now(): Mono {
    return this.#now;
  }

  async until(at: Mono): Promise<void> {
    while (this.#now < at) {
      const tick = this.samples.length * 10;
      const due = this.#events.reduce((first, event) => Math.min(first, event.at), at);
      this.#now = Math.max(this.#now, Math.min(at, tick, due));
      const ripe = this.#events.filter((event) => event.at <= this.#now).sort((a, b) => a.at - b.at);
      this.#events = this.#events.filter((event) => event.at > this.#now);
      for (const event of ripe) event.run();
      if (this.samples.length * 10 <= this.#now) this.samples.push(this.#request());
      if (this.#now < at && tick > at && due >= at) this.#now = at;
    }
  }

  async scale(cluster: string, replicas: number): Promise<void> {
    const pods = this.#of(cluster);
    const live = pods.filter((pod) => pod.ending !== true);
    for (const pod of live.slice(replicas)) {
      pod.ending = true;
      this.#after(200, () => this.#setReady(cluster, pod, false));
      this.#after(this.#ways.lingerMs ?? 5000, () => this.#end(cluster, pod));
    }
    for (let n = live.length; n < replicas; n += 1) {
      const pod = this.#pod(cluster, false);
      pods.push(pod);
      this.#after(4500 + n * 200, () => this.#setReady(cluster, pod, true));
    }
  }

  ready(cluster: string): readonly string[] {
    return this.#of(cluster)
      .filter((pod) => pod.ready)
      .map((pod) => pod.address);
  }

  async waitForReady(cluster: string, fits: (ready: number) => boolean, since: Mono, withinMs: number) {
    const end = this.#now + withinMs;
    for (;;) {
      const seen = this.#seen.find((s) => s.cluster === cluster && s.at >= since && fits(s.ready));
      if (seen !== undefined) return seen.at;
      if (this.#now >= end) return null;
      await this.until(this.#now + 10);
    }
  }

  async killServers(cluster: string): Promise<number> {
    const pods = this.#of(cluster).filter((pod) => pod.alive);
    for (const pod of pods) {
      pod.alive = false;
      pod.readyAt = null;
      this.#after(600, () => this.#setReady(cluster, pod, false));
      this.#after(4000, () => {
        pod.alive = true;
      });
      this.#after(4500, () => this.#setReady(cluster, pod, true));
    }
    return pods.length;
  }

  async suspendServers(cluster: string): Promise<Suspension> {
    const pods = this.#ways.holdsNothing === true ? [] : this.#of(cluster).filter((pod) => pod.alive);
    const set = (hung: boolean, probedMs: number) => {
      for (const pod of pods) {
        pod.hung = hung;
        this.#after(probedMs, () => this.#setReady(cluster, pod, !hung));
      }
    };
    set(true, 3500);
    return { count: pods.length, end: async () => set(false, 800) };
  }

  /** Replaces one pod after another: a new one is Ready before an old one ends. */
  async rollOut(cluster: string): Promise<void> {
    for (const [n, old] of this.#of(cluster).entries()) {
      const pod = this.#pod(cluster, false);
      this.#rolling += 1;
      this.#after(4500 * (n + 1), () => {
        this.#pods.get(cluster)?.push(pod);
        this.#setReady(cluster, pod, true);
        old.ending = true;
        this.#after(this.#ways.lingerMs ?? 0, () => this.#end(cluster, old));
        this.#after(200, () => this.#setReady(cluster, old, false));
        this.#rolling -= 1;
      });
    }
  }

  async rolledOut(): Promise<boolean> {
    return this.#rolling === 0;
  }

  async setAffinity(_cluster: string, affinity: Affinity): Promise<void> {
    this.#after(40, () => {
      this.#affinity = affinity;
    });
  }

  async placedPods(cluster: string): Promise<readonly PlacedPod[]> {
    return this.#of(cluster)
      .filter((pod) => pod.ending !== true)
      .map(({ name, node }) => ({ pod: name, node }));
  }

  async clientUid(): Promise<string> {
    return "client";
  }

  async serviceAddress(): Promise<string> {
    return "10.96.0.1:80";
  }

  async apiAnswers(cluster: string): Promise<boolean> {
    return this.#fault?.kind !== "control-plane" || this.#fault.cluster !== cluster;
  }

  async startFault(fault: Fault): Promise<FaultInForce> {
    // Not at the moment at which a request is due, which would be answered then.
    await this.until(Math.floor(this.#now / 10) * 10 + 255);
    if (this.#ways.holdsNothing !== true) this.#fault = fault;
    const addresses = this.#kernel.get("west") ?? [];
    if (fault.kind === "control-plane" && this.#ways.failsOver === true) this.#kernel.set("west", []);
    return {
      end: async () => {
        this.#fault = null;
        if (fault.kind === "control-plane") this.#kernel.set("west", addresses);
      },
    };
  }

  async agentPid(): Promise<number | null> {
    return this.#pid === 0 ? null : this.#pid;
  }

  async killAgent(): Promise<void> {
    const next = this.#pid + 1;
    this.#pid = 0;
    this.#down.add("node-agent");
    if (this.#ways.agentStaysDead === true) return;
    this.#after(500, () => {
      this.#pid = next;
      this.#down.delete("node-agent");
    });
  }

  async holdDown(part: Part): Promise<void> {
    if (this.#ways.holdsNothing !== true) this.#down.add(part);
  }

  async start(part: Part): Promise<void> {
    this.#after(300, () => this.#down.delete(part));
  }

  async probe(part: Part): Promise<PortProbe> {
    let since: Mono | null = null;
    let longest = 0;
    const look = (): void => {
      if (!this.#down.has(part)) since = null;
      else since ??= this.#now;
      if (since !== null) longest = Math.max(longest, this.#now - since);
      this.#after(100, look);
    };
    look();
    return { refusedMs: () => longest, open: () => !this.#down.has(part), stop: async () => {} };
  }

  lastAnswers(count: number): readonly string[] {
    return this.samples.slice(-count).map(({ cluster }) => cluster);
  }

  async restore(): Promise<void> {
    this.restored += 1;
  }

  async wipeStore(): Promise<void> {
    this.#down.add("mesh-etcd");
    this.#after(1000, () => {
      this.#down.delete("mesh-etcd");
      if (this.#ways.storeIdStays !== true) this.#store += 1;
    });
  }

  async storeId(): Promise<string | null> {
    return this.#down.has("mesh-etcd") ? null : `store-${this.#store}`;
  }

  async live(): Promise<boolean> {
    return !this.#down.has("mesh-etcd");
  }

  async inMaps(address: string): Promise<boolean> {
    return [...this.#kernel.values()].some((addresses) => addresses.includes(address));
  }

  progress(_fault: string, mark: Mark): void {
    this.marks.push(mark);
  }

  #pod(cluster: string, ready: boolean): FakePod {
    this.#next += 1;
    const name = `${cluster}-${this.#next}`;
    const node = `${cluster}-${this.#ways.oneNode === true ? 1 : 1 + (this.#next % 2)}`;
    const readyAt = ready ? this.#now : null;
    return { name, cluster, node, address: `10.0.0.${this.#next}`, ready, readyAt, alive: true, hung: false };
  }

  #of(cluster: string): FakePod[] {
    return this.#pods.get(cluster) ?? [];
  }

  #after(ms: number, run: () => void): void {
    this.#events.push({ at: this.#now + ms, run });
  }

  #setReady(cluster: string, pod: FakePod, ready: boolean): void {
    pod.ready = ready;
    if (ready) pod.readyAt ??= this.#now;
    const addresses = this.ready(cluster);
    this.#seen = this.#seen.filter((seen) => seen.at !== this.#now || seen.cluster !== cluster);
    this.#seen.push({ at: this.#now, cluster, ready: addresses.length });
    const lag = this.#ways.mapLagMs ?? 40;
    if (lag !== Number.POSITIVE_INFINITY) this.#after(lag, () => this.#kernel.set(cluster, addresses));
  }

  #end(cluster: string, pod: FakePod): void {
    pod.alive = false;
    this.#pods.set(
      cluster,
      this.#of(cluster).filter((other) => other !== pod),
    );
  }

  /** The outcome of the request that is due now. */
  #request(): Sample {
    const number = this.samples.length;
    if (this.#ways.fatal !== undefined && this.#down.has(this.#ways.fatal)) return madeSample(number, "timeout");
    const backends = this.#backends(number).map((address) => this.#stateOf(address));
    return request(number, this.#ways.movesNothing === true ? backends.slice(0, 1) : backends);
  }

  /** The backends of the first tier that has any, begun at another one each time, and then all others. */
  #backends(number: number): readonly string[] {
    const [east = [], west = []] = [...this.#kernel.values()];
    const tiers = { local: [east, west], remote: [west, east], none: [[...east, ...west]] }[this.#affinity];
    const [first = [], ...others] = tiers.filter((tier) => tier.length > 0);
    const at = first.length === 0 ? 0 : number % first.length;
    return [...first.slice(at), ...first.slice(0, at), ...others.flat()];
  }

  #stateOf(address: string): FakeBackend {
    const pod = [...this.#pods.values()].flat().find((each) => each.address === address);
    if (pod === undefined) return { state: "dead" };
    if (this.#isDark(pod)) return { state: "dark" };
    return pod.alive ? { state: pod.hung ? "hung" : "alive", pod } : { state: "dead" };
  }

  #isDark({ cluster, node }: FakePod): boolean {
    const fault = this.#fault;
    if (fault?.kind === "node") return fault.node === node;
    return fault?.kind === "dark" && fault.cluster === cluster;
  }
}
