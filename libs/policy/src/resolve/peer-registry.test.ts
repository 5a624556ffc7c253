import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePrefix } from "@isthmus/model";
import { createBlock } from "../model/address-block.js";
import type { Peer } from "../model/policy.js";
import { createSelector } from "../model/selector.js";
import { localNumber } from "../testing/node.js";
import { createPeerRegistry } from "./peer-registry.js";

const WEB = localNumber(256);
const DB = localNumber(257);

const app = (value: string): Peer => ({
  kind: "labels",
  selector: createSelector([{ key: "app", operator: "In", values: [value] }]),
});
const labels = (value: string) => ({ labels: new Map([["app", value]]) });

test("a peer that is new finds the identities that are there, and an identity the peers", () => {
  const registry = createPeerRegistry();
  registry.setIdentity(WEB, labels("web"));
  registry.settle();
  const web = registry.acquire(app("web"));
  const db = registry.acquire(app("db"));
  registry.setIdentity(DB, labels("db"));
  assert.deepEqual([web.members.size, db.members.size], [0, 0], "nothing before it settles");
  assert.deepEqual([...registry.settle().keys()], [DB]);
  assert.deepEqual([...web.members, ...db.members], [WEB, DB]);
  registry.setIdentity(WEB, labels("db"));
  registry.settle();
  assert.deepEqual([[...web.members], [...db.members]], [[], [DB, WEB]]);
});

test("a peer that is new finds the identities that stay, also when more of them go at the same time", () => {
  const registry = createPeerRegistry();
  registry.setIdentity(WEB, labels("web"));
  registry.setIdentity(DB, labels("db"));
  registry.settle();
  const web = registry.acquire(app("web"));
  registry.deleteIdentity(DB);
  registry.settle();
  assert.deepEqual([...web.members], [WEB]);
});

test("a peer that nothing uses any more is forgotten, and one that something does is kept", () => {
  const registry = createPeerRegistry();
  registry.setIdentity(WEB, { ...labels("web"), prefix: parsePrefix("10.0.0.1/32") });
  const block: Peer = {
    kind: "block",
    block: createBlock(parsePrefix("10.0.0.0/8"), []),
    selector: createSelector([]),
  };
  const [web, again, inside] = [app("web"), app("web"), block].map((peer) => registry.acquire(peer));
  assert.ok(web !== undefined && again !== undefined && inside !== undefined);
  registry.settle();
  assert.equal(web, again);
  registry.release(web);
  registry.release(inside);
  assert.deepEqual(registry.identity(WEB)?.matches, [web]);
  registry.release(again);
  assert.deepEqual(registry.identity(WEB)?.matches, []);
  registry.setIdentity(WEB, { ...labels("web"), prefix: parsePrefix("10.0.0.2/32") });
  registry.settle();
  assert.deepEqual(registry.identity(WEB)?.matches, []);
});

test("what is set again as it was, and what comes and goes between two times, is no change", () => {
  const registry = createPeerRegistry();
  const port = { name: "http", protocol: 6, port: 80 };
  registry.setIdentity(WEB, { ...labels("web"), ports: [port], prefix: parsePrefix("10.0.0.0/8") });
  registry.settle();
  registry.setIdentity(WEB, { ...labels("web"), ports: [port, port], prefix: parsePrefix("10.0.0.0/8") });
  registry.setIdentity(DB, labels("db"));
  registry.deleteIdentity(DB);
  assert.equal(registry.settle().size, 0);
  for (const other of [
    { ...labels("web"), ports: [port] },
    { ...labels("web"), prefix: parsePrefix("10.0.0.0/8") },
    labels("db"),
  ]) {
    registry.setIdentity(WEB, other);
    assert.equal(registry.settle().size, 1);
  }
});
