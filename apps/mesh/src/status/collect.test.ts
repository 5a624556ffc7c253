import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeClient } from "@isthmus/kube";
import type { Context } from "../access/context.js";
import { assess } from "./assess.js";
import { viewCluster } from "./collect.js";

/** A cluster without a MeshCluster; `config`: what the request for its mesh-config gives. */
function contextOf(config: () => object | undefined): Context {
  const client = { list: async () => [], get: async () => config() } as unknown as KubeClient;
  return { name: "kind-east", client } as Context;
}

const view = (config: () => object | undefined) => viewCluster(contextOf(config), false, AbortSignal.timeout(5000));

test("a cluster with a mesh-config and no MeshCluster is a member that is broken, and the finding says where to look", async () => {
  const { ok, findings } = assess([await view(() => ({ data: {} }))]);
  assert.equal(ok, false);
  const [finding] = findings;
  assert.equal(finding?.status, "fail");
  assert.match(finding?.message ?? "", /no MeshCluster, so pods with new labels get no identity/);
  assert.match(finding?.fix ?? "", /kubectl --context kind-east -n mesh-system describe configmap mesh-config/);
});

test("a cluster with neither, or whose mesh-config may not be read, is one without the mesh", async () => {
  const refuse = (): never => {
    throw new Error("forbidden");
  };
  for (const config of [() => undefined, refuse]) {
    const { findings } = assess([await view(config)]);
    assert.match(findings[0]?.message ?? "", /no context holds a MeshCluster/);
  }
});
