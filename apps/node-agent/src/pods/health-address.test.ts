import assert from "node:assert/strict";
import { test } from "node:test";
import { type Address, formatAddress, parseAddress, parsePrefix } from "@isthmus/model";
import { silentLogger } from "@isthmus/observe";
import { createFakeClock } from "@isthmus/testing";
import { createHealthAddress } from "./health-address.js";

const CIDR = parsePrefix("10.0.0.0/24");

function rig() {
  const clock = createFakeClock();
  const seen: string[] = [];
  const state: { free: Address | undefined; broken: boolean } = { free: parseAddress("10.0.0.254"), broken: false };
  const health = createHealthAddress({
    ...{ log: silentLogger, clock, signal: new AbortController().signal },
    attachments: {
      takeHealth: () => state.free,
      async save() {
        if (state.broken) throw new Error("no room");
        seen.push("saved");
      },
    },
    report: (address) => void seen.push(address === undefined ? "none" : formatAddress(address)),
  });
  return { clock, seen, state, health };
}

test("the address is saved before it is reported, and reported once", async () => {
  const { seen, health } = rig();
  health.podRemoved();
  await health.setCidr(CIDR);
  assert.deepEqual(seen.splice(0), ["saved", "10.0.0.254"]);
  await health.setCidr(CIDR);
  health.podRemoved();
  assert.deepEqual(seen, ["saved"]);
});

test("one that cannot be saved is not reported until it is", async () => {
  const { clock, seen, state, health } = rig();
  state.broken = true;
  await health.setCidr(CIDR);
  assert.deepEqual(seen, []);
  state.broken = false;
  await clock.advance(30_000);
  await health.setCidr(CIDR);
  assert.deepEqual(seen.slice(0, 2), ["saved", "10.0.0.254"]);
});

test("a node without a free address has none, and takes one when a pod goes", async () => {
  const { seen, state, health } = rig();
  state.free = undefined;
  await health.setCidr(CIDR);
  assert.deepEqual(seen.splice(0), ["saved", "none"]);
  state.free = parseAddress("10.0.0.7");
  health.podRemoved();
  await health.setCidr(CIDR);
  assert.deepEqual(seen.slice(0, 2), ["saved", "10.0.0.7"]);
});
