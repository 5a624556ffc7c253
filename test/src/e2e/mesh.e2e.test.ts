/**
 * Isthmus end to end on real clusters, in the order in which a mesh is set up; each suite continues in the state that the previous
 * one left.
 */
import { after, before } from "node:test";
import { agentTests } from "./suites/agent.js";
import { apiserverTests } from "./suites/apiserver.js";
import { badInputTests } from "./suites/bad-input.js";
import { connectTests } from "./suites/connect.js";
import { globalServiceTests } from "./suites/global-services.js";
import { serviceTests } from "./suites/services.js";
import { webhookTests } from "./suites/webhooks.js";
import { closeWorld, openWorld, type TestClusters } from "./world.js";

let world: TestClusters | undefined;
const at = (): TestClusters => {
  if (world === undefined) throw new Error("Cannot test: the lab did not come up");
  return world;
};

before(async () => {
  world = await openWorld();
});
after(async () => {
  if (world !== undefined) await closeWorld(world);
});

connectTests(at);
serviceTests(at);
webhookTests(at);
globalServiceTests(at);
agentTests(at);
apiserverTests(at);
badInputTests(at);
