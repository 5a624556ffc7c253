import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Policy } from "../model/policy.js";
import { ciliumAllows } from "../testing/cilium-oracle.js";
import { ciliumArbitrary, meshArbitrary, PORTS } from "../testing/generate.js";
import { LOCAL, type TestMesh, type TestPod } from "../testing/mesh.js";
import { acceptedCiliumPolicy, acceptedPolicy, learnIdentities, PROTOCOLS, podPorts } from "../testing/node.js";
import { oracleAllows, type TestEnd } from "../testing/oracle.js";
import { lookUp } from "./look-up.js";
import { createPolicyEngine } from "./policy-engine.js";

test("what is looked up in sets is what the documentation of NetworkPolicy says, for every pair and port", () => {
  fc.assert(
    fc.property(meshArbitrary, (mesh) =>
      compare(mesh, mesh.policies.map(acceptedPolicy), (...question) => oracleAllows(mesh, ...question)),
    ),
    { numRuns: 400 },
  );
});

test("what is looked up in sets is what the documentation of Cilium says, for every pair and port", () => {
  const policies = fc.uniqueArray(ciliumArbitrary, {
    maxLength: 4,
    selector: ({ metadata }) => `${metadata.namespace}/${metadata.name}`,
  });
  fc.assert(
    fc.property(meshArbitrary, policies, (mesh, its) =>
      compare(mesh, its.map(acceptedCiliumPolicy), (...question) => ciliumAllows(its, ...question)),
    ),
    { numRuns: 400 },
  );
});

type Oracle = (pod: TestPod, direction: "ingress" | "egress", end: TestEnd, protocol: string, port: number) => boolean;

function compare(mesh: TestMesh, policies: readonly Policy[], oracle: Oracle): void {
  const engine = createPolicyEngine();
  for (const policy of policies) engine.setPolicy(policy);
  const identityOf = learnIdentities(engine, mesh);
  const local = mesh.pods.filter(({ cluster }) => cluster === LOCAL);
  for (const pod of local) engine.setSubject(pod.name, { identity: identityOf(pod.address), ports: podPorts(pod) });
  engine.commit();
  for (const pod of local) {
    const set = engine.setOf(pod.name);
    assert.ok(set !== undefined);
    for (const end of [...mesh.pods, ...mesh.outside]) {
      const identity = identityOf(typeof end === "string" ? end : end.address);
      for (const direction of ["ingress", "egress"] as const) {
        for (const [name, protocol] of Object.entries(PROTOCOLS)) {
          for (const port of PORTS) {
            const { allow } = lookUp(set, { direction, identity, protocol, port });
            const wanted = oracle(pod, direction, end, name, port);
            assert.equal(allow, wanted, `${pod.name} ${direction} ${JSON.stringify(end)} ${port}/${name}`);
          }
        }
      }
    }
  }
}
