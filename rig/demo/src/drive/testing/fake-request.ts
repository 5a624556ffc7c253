/** What becomes of one request of a `FakeWorld`: its connect goes from one dead backend to the next, as the datapath would move it. */
import { madeSample } from "../../judge/testing/made-traffic.js";
import type { Mono, Sample } from "../../samples/sample.js";

export interface FakePod {
  readonly name: string;
  readonly cluster: string;
  readonly node: string;
  readonly address: string;
  ready: boolean;
  /** When its process was first ready. */
  readyAt: Mono | null;
  alive: boolean;
  /** Suspended: its kernel accepts connections, and nothing answers. */
  hung: boolean;
  ending?: boolean;
}

export type FakeBackend =
  | { readonly state: "alive" | "hung"; readonly pod: FakePod }
  /** "dead" refuses, "dark" does not answer. */
  | { readonly state: "dead" | "dark" };

/** `backends`: in the order in which they are tried. */
export function request(number: number, backends: readonly FakeBackend[]): Sample {
  let waitedMs = 0;
  for (const backend of backends) {
    if (backend.state === "alive" || backend.state === "hung") return accepted(number, backend.pod, waitedMs);
    // The first and the second repeat of a SYN.
    if (backend.state === "dark") waitedMs = waitedMs === 0 ? 100 : 300;
  }
  return madeSample(number, backends.at(-1)?.state === "dark" ? "timeout" : "refused");
}

function accepted(number: number, { hung, cluster, name, readyAt }: FakePod, waitedMs: number): Sample {
  const sample = madeSample(number, hung ? "timeout" : cluster, readyAt);
  const connected = sample.due + waitedMs + 1;
  return hung ? { ...sample, connected } : { ...sample, connected, end: connected + 1, pod: name };
}
