import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "@isthmus/testing";
import { addressOf, createReviewLimits } from "./review-limits.js";

test("a client is an IPv4 address without its port, or an IPv6 /64", () => {
  const same = ["[fd00:1:2:3::1]:80", "[fd00:1:2:3:ffff::9]:443", "fd00:1:2:3::5", "[fd00:1:2:3::1%eth0]:80"];
  for (const peer of same) assert.equal(addressOf(peer), "fd00:1:2:3::/64", peer);
  assert.equal(addressOf("[::1]:80"), "0:0:0:0::/64");
  assert.equal(addressOf("[1::]:80"), "1:0:0:0::/64");
  assert.equal(addressOf("10.0.0.1:4711"), "10.0.0.1");
  assert.equal(addressOf("[::ffff:10.0.0.1]:4711"), "10.0.0.1");
  assert.equal(addressOf("unknown"), "unknown");
});

test("each client has its own limits of concurrent reviews and of their rate", async () => {
  const clock = createFakeClock();
  const limits = createReviewLimits(clock);
  const begun = Array.from({ length: 10 }, () => limits.begin("10.0.0.1:1")).filter((end) => end !== undefined);
  assert.equal(begun.length, 4);
  assert.ok(limits.begin("10.0.0.2:1") !== undefined);
  for (const end of begun) end();
  let more = 0;
  for (let end = limits.begin("10.0.0.1:2"); end !== undefined; end = limits.begin("10.0.0.1:2")) {
    more++;
    end();
  }
  assert.equal(more, 16);
  await clock.advance(1000);
  limits.begin("10.0.0.1:3")?.();
  assert.ok(limits.begin("10.0.0.1:3") !== undefined);
  assert.equal(limits.begin("10.0.0.1:3"), undefined, "two a second");
});
