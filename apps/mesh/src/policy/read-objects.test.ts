import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "@isthmus/model";
import { readDeletion, readObjects } from "./read-objects.js";

const usage = (work: () => unknown, sentence: RegExp) =>
  assert.throws(work, (thrown: unknown) => {
    assert.ok(thrown instanceof MeshError && thrown.code === "USAGE", String(thrown));
    assert.match(thrown.message, sentence);
    return true;
  });

const NETWORK_POLICY = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: web}\n";

test("documents and lists are objects, and a namespaced one without a namespace gets the default", () => {
  const text = [
    `# a comment\n---\n${NETWORK_POLICY}spec: {podSelector: {}}\n`,
    "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: a, namespace: bank}}\n",
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicyList\nitems:\n- metadata: {name: b, namespace: ''}\n",
    "apiVersion: cilium.io/v2\nkind: CiliumClusterwideNetworkPolicy\nmetadata: {name: wall}\n",
    "apiVersion: cilium.io/v2\nkind: CiliumCIDRGroup\nmetadata: {name: partners}\n",
    "\n",
  ].join("---\n");
  assert.deepEqual(readObjects(text, "x.yaml", "shop"), [
    {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: { name: "web", namespace: "shop" },
      spec: { podSelector: {} },
    },
    { apiVersion: "cilium.io/v2", kind: "CiliumNetworkPolicy", metadata: { name: "a", namespace: "bank" } },
    { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata: { name: "b", namespace: "shop" } },
    { apiVersion: "cilium.io/v2", kind: "CiliumClusterwideNetworkPolicy", metadata: { name: "wall" } },
    { apiVersion: "cilium.io/v2", kind: "CiliumCIDRGroup", metadata: { name: "partners" } },
  ]);
  const object = {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: "web", namespace: "b" },
  };
  assert.deepEqual(readObjects(JSON.stringify(object), "x.json", "shop"), [object]);
});

test("what is no manifest of policies is a usage error that names the document", () => {
  const read = (text: string) => () => readObjects(text, "x.yaml", "shop");
  usage(read("a: [\n"), /^Cannot use "x\.yaml": it is neither YAML nor JSON \(/);
  usage(read("# nothing\n"), /^Cannot use "x\.yaml": it has no object$/);
  usage(read("text"), /^Cannot use "x\.yaml": it is no object of Kubernetes$/);
  usage(
    read(`${NETWORK_POLICY}---\nkind: Service\napiVersion: v1\n`),
    /^Cannot use document 2 of "x\.yaml": it has an object of kind "Service" \(v1\), .*NetworkPolicy \(networking\.k8s\.io\/v1\)/,
  );
  usage(read("kind: NetworkPolicy\napiVersion: networking.k8s.io/v1beta1\n"), /\(networking\.k8s\.io\/v1beta1\)/);
  usage(read("kind: NetworkPolicy\napiVersion: networking.k8s.io/v1\n"), /its NetworkPolicy has no metadata\.name$/);
  usage(read(`#${"x".repeat(17 << 20)}`), /more than 16 MiB/);
  const bomb = [
    "a: &a0 [x]",
    ...Array.from({ length: 12 }, (_, i) => `b${i}: &a${i + 1} [${`*a${i},`.repeat(9)}]`),
  ].join("\n");
  usage(read(bomb), /neither YAML nor JSON/);
});

test("a deletion is a kind, as kubectl writes it, with a namespace or the default one", () => {
  const name = { kind: "NetworkPolicy", namespace: "bank", name: "web" };
  assert.deepEqual(readDeletion("NetworkPolicy/bank/web", "shop"), name);
  assert.deepEqual(readDeletion("netpol/web", "bank"), name);
  assert.deepEqual(readDeletion("networkpolicies/bank/web", "shop"), name);
  assert.deepEqual(readDeletion("ccnp/wall", "shop"), {
    kind: "CiliumClusterwideNetworkPolicy",
    namespace: "",
    name: "wall",
  });
  for (const wrong of [
    "web",
    "NetworkPolicy",
    "NetworkPolicy/",
    "NetworkPolicy/a/b/c",
    "Service/a/b",
    "ccnp/a/b",
    "CiliumCIDRGroup/a",
  ])
    usage(() => readDeletion(wrong, "shop"), /^Cannot use ".*" for --delete: write KIND\/NAMESPACE\/NAME/);
});
