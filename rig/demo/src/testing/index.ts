/** For tests of what is made of the demo's parts. */
export { type FakeBehaviour, FakeWorld } from "../drive/testing/fake-world.js";
export { madeSample, madeTraffic, withSample } from "../judge/testing/made-traffic.js";
