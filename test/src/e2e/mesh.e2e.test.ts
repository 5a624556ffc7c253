/**
 * Isthmus end to end on real clusters: one lab for all suites, in the order in which a mesh comes to be; each suite goes
 * on from what the one before left. The last test takes it down and looks for anything left.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { remainsOf } from "@isthmus/lab";
import { agentTests } from "./suites/agent.js";
import { apiserverTests } from "./suites/apiserver.js";
import { badInputTests } from "./suites/bad-input.js";
import { connectTests } from "./suites/connect.js";
import { globalServiceTests } from "./suites/global-services.js";
import { serviceTests } from "./suites/services.js";
import { closeWorld, openWorld, type World } from "./world.js";

let world: World | undefined;
const at = (): World => {
  if (world === undefined) throw new Error("Cannot test: the lab did not come up");
  return world;
};

before(async () => {
  world = await openWorld();
});
after(() => closeWorld(world));

connectTests(at);
serviceTests(at);
globalServiceTests(at);
agentTests(at);
apiserverTests(at);
badInputTests(at);

test("down leaves nothing: processes, control groups, mounts, links, pins, files", async () => {
  const { plan } = at().lab;
  await closeWorld(world);
  assert.deepEqual(await remainsOf(plan), []);
});
