import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { meshArbitrary, PORTS } from "../testing/generate.js";
import type { TestMesh } from "../testing/mesh.js";
import { LOCAL } from "../testing/mesh.js";
import { acceptedPolicy, learnIdentities, PROTOCOLS, podPorts } from "../testing/node.js";
import { oracleAllows } from "../testing/oracle.js";
import { lookUp } from "./look-up.js";
import { createPolicyEngine } from "./policy-engine.js";

test("what is looked up in sets is what the documentation of NetworkPolicy says, for every pair and port", () => {
  fc.assert(fc.property(meshArbitrary, compareWithOracle), { numRuns: 400 });
});

function compareWithOracle(mesh: TestMesh): void {
  const engine = createPolicyEngine();
  for (const policy of mesh.policies) engine.setPolicy(acceptedPolicy(policy));
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
            const wanted = oracleAllows(mesh, pod, direction, end, name, port);
            assert.equal(allow, wanted, `${pod.name} ${direction} ${JSON.stringify(end)} ${port}/${name}`);
          }
        }
      }
    }
  }
}
