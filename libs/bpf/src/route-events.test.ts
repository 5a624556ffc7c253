import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseRouteEvents } from "./route-events.js";

/**
 * Events that a process in a new network namespace receives for each batch, and for a link that is added and deleted.
 */
function collectEvents(...batches: readonly (readonly string[])[]): readonly (readonly string[])[] {
  const main = fileURLToPath(new URL("./testing/route-events-main.js", import.meta.url));
  const input = JSON.stringify(batches);
  const ran = spawnSync("unshare", ["--net", process.execPath, main], { input, maxBuffer: 64 * 1024 * 1024 });
  assert.equal(ran.status, 0, ran.stderr.toString());
  return ran.stdout
    .toString()
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as string[]);
}

test("changes of links, addresses, routes and neighbours are reported", () => {
  const [links = [], routes = [], removed = [], down = [], added = [], deleted = []] = collectEvents(
    [
      "link add one type veth peer name two",
      "link set two up",
      "link set one up",
      "addr add 10.1.0.1/24 dev one",
      "addr add 10.1.0.7/32 dev one scope link",
    ],
    [
      "route add 10.2.0.0/16 via 10.1.0.2 proto 77",
      "route replace 10.2.0.0/16 via 10.1.0.3 proto 99",
      "route add unreachable fd00:1::/64 proto 77",
      "neigh add 10.1.0.9 lladdr 02:00:00:00:00:01 dev one nud permanent",
    ],
    ["route del 10.2.0.0/16", "neigh del 10.1.0.9 dev one", "addr del 10.1.0.1/24 dev one"],
    ["link set one down"],
  );
  assert.ok(
    ["+link one up turned", "+address", "+address link-local"].every((event) => links.includes(event)),
    links.join(),
  );
  assert.deepEqual(
    routes.filter((event) => /10\.2\.|fd00:1|10\.1\.0\.9/.test(event)),
    [
      "+route 10.2.0.0/16 proto 77",
      "+route 10.2.0.0/16 proto 99 replaces",
      "+route unreachable fd00:1::/64 proto 77",
      "+neighbour 10.1.0.9 permanent",
    ],
  );
  assert.ok(removed.includes("-route 10.2.0.0/16 proto 99") && removed.includes("-address"), removed.join());
  assert.ok(
    removed.some((event) => event.startsWith("-neighbour 10.1.0.9")),
    removed.join(),
  );
  assert.ok(down.includes("+link one down turned"), down.join());
  assert.ok(
    added.some((event) => event.startsWith("+link late")),
    added.join(),
  );
  assert.ok(
    deleted.some((event) => event.startsWith("-link late")),
    deleted.join(),
  );
});

test("an overflow of the socket is reported as lost, and later changes are reported again", () => {
  const many = Array.from({ length: 4000 }, (_, i) => `route add unreachable 10.${i >> 8}.${i & 255}.0/24 proto 77`);
  const [flood = [], after = []] = collectEvents(many, ["route del unreachable 10.0.7.0/24"]);
  assert.ok(flood.length < many.length && flood.filter((event) => event === "lost").length === 1);
  assert.deepEqual(after, ["-route unreachable 10.0.7.0/24 proto 77"]);
});

test("bytes that are not a message are reported as lost, without an error", () => {
  const message = (type: number, body: readonly number[]) => {
    const bytes = new Uint8Array(16 + body.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, bytes.length, true);
    view.setUint16(4, type, true);
    bytes.set(body, 16);
    return bytes;
  };
  const lost = [{ kind: "lost" }];
  assert.deepEqual(parseRouteEvents(message(24, [])), lost);
  assert.deepEqual(parseRouteEvents(message(16, new Array(16).fill(0))), lost);
  assert.deepEqual(parseRouteEvents(message(24, [2, 24, ...new Array(10).fill(0), 9, 0, 1, 0, 1, 2, 3, 4, 5])), lost);
  assert.deepEqual(parseRouteEvents(message(24, [2, 24]).fill(255, 0, 4)), lost);
  assert.deepEqual(parseRouteEvents(message(3, [1, 2, 3])), []);
  assert.deepEqual(parseRouteEvents(new Uint8Array(7)), []);
});
