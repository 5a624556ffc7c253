import assert from "node:assert/strict";
import { test } from "node:test";
import { NAMESPACE_KEY, opinionOf, type PolicyKind, type Port } from "./oracle.js";
import { createRandom } from "./random.js";
import { PORTS, randomSpec } from "./random-policy.js";

const PLACE = { clusters: ["east", "west"], namespaces: ["blue", "green"], ranges: ["10.11.0.0/16", "10.12.0.0/16"] };
const KINDS: readonly PolicyKind[] = ["NetworkPolicy", "CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy"];
const pod = (cluster: string, color: string) => ({
  ...{ cluster, namespace: "blue", namespaceLabels: { team: "one" }, address: "10.11.0.1" },
  labels: { color, role: "client" },
});

/** Specs of the kind, always the same ones. */
function drawn(kind: PolicyKind) {
  const random = createRandom(1);
  return Array.from({ length: 500 }, () => randomSpec(kind, random, PLACE));
}

test("random policies of each kind have every opinion, by port and by protocol too", () => {
  const ports: readonly Port[] = (["TCP", "UDP"] as const).flatMap((protocol) =>
    PORTS.map((port) => ({ protocol, port })),
  );
  for (const kind of KINDS) {
    const of = { cluster: "east", kind, namespace: kind === "CiliumClusterwideNetworkPolicy" ? "" : "blue", name: "p" };
    const found = new Set<string>();
    const apart = new Set<string>();
    for (const spec of drawn(kind)) {
      const [peer, subject] = [pod("east", "blue"), pod("east", "red")];
      const opinions = ports.map((port) => opinionOf(of, spec, "ingress", subject, peer, port));
      for (const opinion of opinions) found.add(opinion);
      if (new Set(opinions.slice(0, PORTS.length)).size > 1) apart.add("ports");
      if (new Set([opinions[0], opinions[PORTS.length]]).size > 1) apart.add("protocols");
    }
    const wanted = ["allows", "isolates", "none", ...(kind === "NetworkPolicy" ? [] : ["denies"])];
    assert.deepEqual([...found].sort(), wanted.sort(), kind);
    assert.deepEqual([...apart].sort(), ["ports", "protocols"], kind);
  }
});

test("ranges of ports are in each kind, and namespaces of the pods selected in clusterwide policies alone", () => {
  for (const kind of KINDS) {
    const texts = drawn(kind).map((spec) => JSON.stringify(spec));
    assert.ok(texts.some((text) => text.includes("endPort")));
    const selects = texts.some((text) => text.slice(0, text.indexOf("}")).includes(NAMESPACE_KEY));
    assert.equal(selects, kind === "CiliumClusterwideNetworkPolicy");
  }
});
