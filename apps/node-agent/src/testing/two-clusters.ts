/** For tests: two clusters with one global Service, and an agent of the first that follows both. */
import {
  createRecordSource,
  makeConfig,
  makeNode,
  makeNodeConfig,
  makeService,
  makeSlice,
  type RecordSource,
} from "@isthmus/testing";
import type { TestNode } from "./test-node.js";

export const VIP = "10.96.0.10";

/** east: shop/cart, global, with two backends. */
export function east(affinity: "none" | "local" | "remote" = "none"): RecordSource {
  const source = createRecordSource({ clusterId: 0 });
  source.change([
    makeService("shop/cart", { ip: VIP }),
    makeConfig("shop/cart", affinity),
    makeSlice("shop/cart", { ready: ["10.11.0.1", "10.11.0.2"], node: "n1" }),
    makeNode("n1", "172.18.0.1", "10.11.0.0/24"),
    makeNodeConfig("n1", "10.11.0.0/24"),
  ]);
  return source;
}

/** west: the same Service with one backend. */
export function west(): RecordSource {
  const source = createRecordSource({ clusterId: 2 });
  source.change([makeService("shop/cart"), makeSlice("shop/cart", { ready: ["10.12.0.1"] })]);
  return source;
}

export const ALL = ["1:10.11.0.1", "1:10.11.0.2", "2:10.12.0.1"];

export async function synced(node: TestNode, ...sources: RecordSource[]): Promise<TestNode> {
  node.connect();
  await node.sync(...sources);
  return node;
}
