/** The agent is killed, started twice, restarted: the kernel continues to serve. */
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { type KubeNode, NODES } from "@isthmus/kube";
import { parseAddress, parsePrefix, prefixContains, systemClock } from "@isthmus/model";
import { answeredBy } from "../connects.js";
import { eventually } from "../eventually.js";
import { startLoad } from "../load.js";
import { killAndWait, processOf } from "../processes.js";
import { run } from "../run.js";
import type { TestClusters } from "../world.js";

const KILLS = 4;
const HEALTH_ADDRESS = "mesh.isthmus.io/health-address";

export function agentTests(at: () => TestClusters): void {
  describe("The agent", () => {
    test(`SIGKILL ${KILLS} times of the agent at random moments, while backends change, loses no request`, async () => {
      const { lab, east, west } = at();
      await east.scale("web", 0);
      const target = await east.frontend("web");
      await answeredBy(east, target, "west");
      const node = east.plan.nodes[0]?.name ?? "";
      const load = await startLoad(east, { node, target, durationMs: 14_000 });
      for (let i = 0; i < KILLS; i++) {
        // The change propagates while the agent is killed.
        const change = (i % 2 === 0 ? west : east).scale("web", i % 2 === 0 ? 3 - i / 2 : i);
        await systemClock.delay(randomInt(1200));
        await killAndWait(lab.plan.name, { role: "node-agent", cluster: "east", node });
        await change;
      }
      const { sent, outcomes } = await load.finished();
      assert.deepEqual(outcomes, { o: sent });
      assert.ok(sent >= 1386, `${sent} requests`);
      await west.scale("web", 2);
    });

    test("takes an address of its node's pod range as the node's health address, which is in the Node", async () => {
      const { east, west } = at();
      for (const { client, plan } of [east, west]) {
        const read = async () => {
          const nodes = await client.list<KubeNode>(NODES);
          return nodes.map(({ metadata, spec }) => {
            const [range] = spec?.podCIDRs ?? [];
            const health = metadata.annotations?.[HEALTH_ADDRESS];
            const isOwn = range !== undefined && health !== undefined;
            return isOwn && prefixContains(parsePrefix(range), parseAddress(health));
          });
        };
        const all = (found: readonly boolean[]) => found.length === plan.nodes.length && !found.includes(false);
        await eventually(`health addresses in ${plan.name}`, read, all, 30_000);
      }
    });

    test("a second agent on the node is refused, and the first continues", async () => {
      const { lab, east } = at();
      const node = east.plan.nodes[0]?.name ?? "";
      const first = await processOf(lab.plan.name, { role: "node-agent", cluster: "east", node });
      const argv = (await readFile(`/proc/${first.pid}/cmdline`, "utf8")).split("\0").slice(0, -1);
      const health = argv.indexOf("--health");
      assert.notEqual(health, -1);
      const another = argv.with(health + 1, "127.0.0.1:7599");
      const second = await run("nsenter", ["-t", String(first.pid), "-n", ...another]);
      assert.equal(second.code, 1);
      assert.match(second.out + second.err, /DATAPATH_LOCKED/);
      const now = await processOf(lab.plan.name, { role: "node-agent", cluster: "east", node });
      assert.equal(now.pid, first.pid);
    });
  });
}
