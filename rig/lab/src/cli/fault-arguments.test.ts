import assert from "node:assert/strict";
import { test } from "node:test";
import { FAULT_KINDS, parseFault } from "./fault-arguments.js";
import { HELP } from "./help.js";

const parse = (line: string, oneWay = false) => parseFault(line.split(" "), oneWay);

test("each fault has its words", () => {
  assert.deepEqual(parse("dark west"), { kind: "dark", cluster: "west" });
  assert.deepEqual(parse("node west/west-1"), { kind: "node", cluster: "west", node: "west-1" });
  const [a, b] = [{ cluster: "east" }, { cluster: "west", node: "west-2" }];
  assert.deepEqual(parse("path east west/west-2"), { kind: "path", a, b, oneWay: false });
  assert.deepEqual(parse("path east west/west-2", true), { kind: "path", a, b, oneWay: true });
  assert.deepEqual(parse("loss east west/west-2 0.5%"), { kind: "loss", a, b, percent: 0.5, oneWay: false });
  assert.deepEqual(parse("control-plane east"), { kind: "control-plane", cluster: "east" });
  assert.deepEqual(parse("hang east kubelet"), { kind: "hang", cluster: "east", role: "kubelet" });
});

test("words that are missing, too many or malformed are usage errors that name the field", () => {
  const refused = (line: string, message: string, oneWay = false) =>
    assert.throws(() => parse(line, oneWay), { code: "USAGE", message });
  const kinds = "dark, node, path, loss, control-plane, hang, list, clear";
  refused("fire east", `Unknown fault "fire": use one of ${kinds}`);
  refused("", `Unknown fault "": use one of ${kinds}`);
  refused("dark", '"lab fault dark" takes CLUSTER; see "lab --help"');
  refused("path east", '"lab fault path" takes A B; see "lab --help"');
  refused("loss east west 5% 6%", '"lab fault loss" takes A B PERCENT; see "lab --help"');
  refused("dark west/west-1", 'Cannot use "west/west-1" for CLUSTER: write the name of a cluster');
  refused("node west", 'Cannot use "west" for CLUSTER/NODE: write a node of a cluster, such as west/west-1');
  refused("path east a/b/c", 'Cannot use "a/b/c" for B: write CLUSTER or CLUSTER/NODE');
  for (const share of ["5", "-5%", "%", "5%%"])
    refused(`loss east west ${share}`, `Cannot use "${share}" for PERCENT: write a share of the packets, such as 5%`);
  refused("dark west", '"lab fault dark" has no option --one-way', true);
});

test("the help names every fault", () => {
  for (const kind of FAULT_KINDS) assert.ok(HELP.includes(`  ${kind} `), kind);
});
