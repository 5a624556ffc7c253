/**
 * An in-memory `World` for tests: virtual time, two clusters, a kernel that follows the slices after a delay, and a client
 * that sends 100 requests a second.
 *
 * Invariant: time passes only in `until`, so a run is the same every time.
 */

import type { Mark } from "../../judge/runs.js";
import { madeSample } from "../../judge/testing/made-traffic.js";
import type { Mono, Sample } from "../../samples/sample.js";
import type { Part, PortProbe, RigWorld } from "../world.js";

export interface FakeBehaviour {
  /** Delay from a slice to the kernel; Infinity for a suspended agent. */
  readonly mapLagMs?: number;
  /** The server exits on SIGTERM at once. */
  readonly lingerMs?: number;
  readonly agentStaysDead?: boolean;
  /** `holdDown` does nothing. */
  readonly holdsNothing?: boolean;
  readonly storeIdStays?: boolean;
  /** Connects to a dead backend are refused, and not moved to another one. */
  readonly movesNothing?: boolean;
  /** A part whose loss stops all traffic. */
  readonly fatal?: Part | "node-agent";
}

interface Pod {
  readonly address: string;
  ready: boolean;
  alive: boolean;
  ending?: boolean;
}

export class FakeWorld implements RigWorld {
  readonly samples: Sample[] = [];
  readonly marks: Mark[] = [];
  readonly #ways: FakeBehaviour;
  readonly #pods = new Map<string, Pod[]>();
  #seen: { at: Mono; cluster: string; ready: number }[] = [];
  readonly #kernel = new Map<string, readonly string[]>();
  readonly #down = new Set<Part | "node-agent">();
  #events: { at: Mono; run: () => void }[] = [];
  #now = 0;
  #pid = 100;
  #store = 1;
  #next = 1;

  constructor(ways: FakeBehaviour = {}) {
    this.#ways = ways;
    for (const cluster of ["east", "west"]) {
      this.#pods.set(cluster, []);
      for (let n = 0; n < 3; n += 1) this.#pods.get(cluster)?.push(this.#pod(true));
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
      if (this.samples.length * 10 <= this.#now) this.samples.push(madeSample(this.samples.length, this.#answer()));
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
      const pod = this.#pod(false);
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
      this.#after(600, () => this.#setReady(cluster, pod, false));
      this.#after(4000, () => {
        pod.alive = true;
      });
      this.#after(4500, () => this.#setReady(cluster, pod, true));
    }
    return pods.length;
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

  #pod(ready: boolean): Pod {
    this.#next += 1;
    return { address: `10.0.0.${this.#next}`, ready, alive: true };
  }

  #of(cluster: string): Pod[] {
    return this.#pods.get(cluster) ?? [];
  }

  #after(ms: number, run: () => void): void {
    this.#events.push({ at: this.#now + ms, run });
  }

  #setReady(cluster: string, pod: Pod, ready: boolean): void {
    pod.ready = ready;
    const addresses = this.ready(cluster);
    this.#seen = this.#seen.filter((seen) => seen.at !== this.#now || seen.cluster !== cluster);
    this.#seen.push({ at: this.#now, cluster, ready: addresses.length });
    const lag = this.#ways.mapLagMs ?? 40;
    if (lag !== Number.POSITIVE_INFINITY) this.#after(lag, () => this.#kernel.set(cluster, addresses));
  }

  #end(cluster: string, pod: Pod): void {
    pod.alive = false;
    this.#pods.set(
      cluster,
      this.#of(cluster).filter((other) => other !== pod),
    );
  }

  #answer(): string {
    if (this.#ways.fatal !== undefined && this.#down.has(this.#ways.fatal)) return "timeout";
    for (const cluster of ["east", "west"]) {
      const chosen = this.#kernel.get(cluster)?.[0];
      if (chosen === undefined) continue;
      return this.#of(cluster).some((pod) => pod.address === chosen && pod.alive) ? cluster : this.#moved();
    }
    return "refused";
  }

  #moved(): string {
    const backends = [...this.#kernel].flatMap(([cluster, addresses]) =>
      addresses.map((address) => ({ cluster, address })),
    );
    const isAlive = (address: string) =>
      [...this.#pods.values()].flat().some((pod) => pod.address === address && pod.alive);
    const other = this.#ways.movesNothing === true ? undefined : backends.find(({ address }) => isAlive(address));
    return other?.cluster ?? "refused";
  }
}
