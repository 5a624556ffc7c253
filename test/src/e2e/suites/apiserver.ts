/** Every clustermesh-apiserver is down, and agents restart: known state stays, and changes are applied when they are back. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DEPLOYMENTS, SERVICES } from "@isthmus/kube";
import { controlProcess } from "@isthmus/lab";
import { answeredBy, connects } from "../connects.js";
import { eventually } from "../eventually.js";
import { startLoad } from "../load.js";
import { NAMESPACE, servers, service } from "../objects.js";
import { killAndWait } from "../processes.js";
import { MANAGER, type TestClusters } from "../world.js";

const ROLE = "clustermesh-apiserver";

export function apiserverTests(at: () => TestClusters): void {
  describe("Without any clustermesh-apiserver", () => {
    test("a restarted agent continues from the kernel's state; changes are applied when the apiservers are back", async (t) => {
      const { lab, east, west, mesh } = at();
      const name = lab.plan.name;
      await east.scale("web", 0);
      const target = await east.frontend("web");
      await answeredBy(east, target, "west");
      const node = east.plan.nodes[0]?.name ?? "";
      const control = async (action: "stop" | "start") => {
        for (const cluster of ["east", "west"]) await controlProcess(name, action, { role: ROLE, cluster });
      };
      const load = await startLoad(east, { node, target, durationMs: 8_000 });
      t.after(() => control("start"));
      await control("stop");
      await killAndWait(name, { role: "node-agent", cluster: "east", node });
      await east.client.apply(SERVICES, service("late"), MANAGER);
      await east.client.apply(DEPLOYMENTS, servers("late", "east", 1), MANAGER);
      // Its third pod starts when there is an apiserver that gives it an identity.
      await west.client.mergePatch(DEPLOYMENTS, "web", { spec: { replicas: 3 } }, { namespace: NAMESPACE });
      await killAndWait(name, { role: "node-agent", cluster: "east", node });
      const { sent, outcomes } = await load.finished();
      assert.deepEqual(outcomes, { o: sent });
      const late = await east.frontend("late");
      assert.equal((await connects(east, late, 1)).outcomes["open"], undefined);

      await control("start");
      const started = await east.kubectl("wait", "deployment/late", "--for=condition=Available", "--timeout=60s");
      assert.equal(started.code, 0, started.err);
      await answeredBy(east, late, "east");
      await eventually(
        "the new pod of west to answer in east",
        () => connects(east, target),
        ({ answers }) => answers.length === 20 && new Set(answers).size === 3,
        60_000,
      );
      const waited = await mesh("status", "--wait", "--timeout", "60s");
      assert.equal(waited.code, 0, waited.err);
    });
  });
}
