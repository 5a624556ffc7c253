/** The view that an apiserver has of policy: identities of addresses and verdicts, from the records of all clusters. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesKey, parseAddress, parsePrefix } from "@isthmus/model";
import { lookUp } from "@isthmus/policy";
import { inTurns } from "@isthmus/runtime";
import { openPolicyView, type PodEndpoint, type PolicyViewOptions } from "./policy-view.js";
import { CLIENT, EAST, policySources, WEB, WEST_CLIENT } from "./testing/policy-sources.js";

const everything = ({ clusterId }: PodEndpoint) => (clusterId === 1 ? "subject" : "peer");
const open = (options: Partial<PolicyViewOptions> = {}) =>
  inTurns(openPolicyView(policySources(), { ...EAST, node: "w1", wants: everything, ...options }));

test("addresses have the identities that an agent of the node gives them", async () => {
  const view = await open();
  const labels = (address: string) => {
    const number = view.identityAt(parseAddress(address));
    return [...(view.engine.identityOf(number)?.labels.keys() ?? [`number ${number}`])].filter(
      (key) => key === "app" || key.startsWith("reserved:") || key.startsWith("number"),
    );
  };
  assert.equal(view.identityAt(parseAddress("10.2.1.7")), WEST_CLIENT);
  assert.deepEqual(labels("10.1.1.5"), ["app"]);
  assert.deepEqual(labels("192.0.2.1"), ["reserved:host"]);
  assert.deepEqual(labels("192.0.2.9"), ["reserved:remote-node"]);
  assert.deepEqual(labels("10.1.1.77"), ["reserved:unmanaged"]);
  assert.deepEqual(labels("10.2.1.77"), [`number ${(2 << 20) | 3}`], "not the world");
  assert.deepEqual(labels("203.0.113.8"), ["reserved:world"]);
  assert.notEqual(view.identityAt(parseAddress("203.0.113.8")), view.identityAt(parseAddress("198.51.100.1")));
});

test("subjects have the sets of the policies in force; what cannot be read is left out", async () => {
  const view = await open();
  const web = view.desired.subjects.get(bytesKey(parseAddress("10.1.1.5")));
  assert.ok(web !== undefined);
  const isAllowed = (address: string) =>
    lookUp(web.set, {
      ...{ direction: "ingress", protocol: 6, port: 80 },
      identity: view.identityAt(parseAddress(address)),
    }).allow;
  assert.deepEqual(["10.1.2.6", "10.2.1.7", "203.0.113.8", "198.51.100.1"].map(isAllowed), [true, false, true, false]);
  assert.deepEqual(
    [...view.endpoints.values()].map(({ cluster, node }) => `${cluster} ${node}`),
    ["east w1", "east w2", "west w1"],
  );
});

test("endpoints that are not wanted are not in the view, nor are their identities", async () => {
  const view = await open({ wants: ({ identity }) => (identity === WEB ? "subject" : undefined) });
  assert.deepEqual([...view.desired.subjects.keys()], [bytesKey(parseAddress("10.1.1.5"))]);
  assert.equal(view.engine.identityOf(CLIENT), undefined);
  const ofWest = await open({ clusters: new Set([2]) });
  assert.deepEqual(
    [...ofWest.endpoints.values()].map(({ cluster }) => cluster),
    ["west"],
  );
});

test("without policies there are the prefixes that are asked for, each with an identity", async () => {
  const view = await open({ policies: false, prefixes: [parsePrefix("198.51.100.0/24"), parsePrefix("10.1.1.5/32")] });
  const prefixes = [...view.desired.prefixes].filter(([, { exact }]) => !exact).map(([text]) => text);
  assert.deepEqual(prefixes, ["198.51.100.0/24"], "one inside of a pod range has no row");
  const web = view.engine.identityOf(view.identityAt(parseAddress("10.1.1.5")));
  assert.deepEqual([web?.labels.get("app"), web?.prefix?.length], ["web", 128]);
  assert.equal(view.desired.subjects.get(bytesKey(parseAddress("10.1.1.5")))?.set.rows.size, 0);
});
