import assert from "node:assert/strict";
import { test } from "node:test";
import type { MeshCluster } from "@isthmus/kube";
import { formatPrefix, parsePrefix } from "@isthmus/model";
import { judgeConfig } from "./judge-config.js";
import { type ConfigData, savedText } from "./mesh-config.js";
import { LAST_GOOD_CONFIG, lastGoodConfig, takenByPeers, takenByServices } from "./saved-config.js";

const GOOD: ConfigData = {
  "cluster-name": "east",
  "cluster-id": "1",
  "pod-cidrs": "10.11.0.0/16",
  servers: "10.0.0.1:7443",
  "admin-ca": "PEM",
};
const inForce = judgeConfig(GOOD, undefined, []).config;
const west = takenByPeers([
  { cluster: "west" as never, podCidrs: [parsePrefix("10.12.0.0/16")], serviceCidrs: [parsePrefix("10.97.0.0/16")] },
]);
const services = takenByServices([parsePrefix("10.96.0.0/16")]);
const pods = (config: typeof inForce) => config?.podCidrs?.map(formatPrefix).join();

test("an unusable mesh-config leaves the last good values in force and is reported with field, value and fix", () => {
  const rows: readonly (readonly [ConfigData | string, RegExp])[] = [
    [{ ...GOOD, "pod-cidrs": "junk" }, /"pod-cidrs" is "junk": .*write it like "10\.11\.0\.0\/16"/],
    [{ ...GOOD, "pod-cidrs": "" }, /"pod-cidrs" is missing, set it/],
    [
      { ...GOOD, "pod-cidrs": "10.0.0.0/8" },
      /"pod-cidrs" is "10\.0\.0\.0\/8": .* overlaps "10\.12\.0\.0\/16" of MeshPeer "west"/,
    ],
    [{ ...GOOD, "pod-cidrs": "10.96.4.0/24" }, /overlaps "10\.96\.0\.0\/16" of this cluster's ServiceCIDR objects/],
    [{ ...GOOD, "service-cidrs": "10.97.1.0/24", "cluster-id": "2" }, /"cluster-id" is "2", which cannot change/],
    [{ ...GOOD, "cluster-name": "north" }, /"cluster-name" changed from "east" to "north" while running, restart/],
    [{ ...GOOD, "pod-cidrs": Array(65).fill("10.11.0.0/16").join() }, /it has 65 items, at most 64/],
    [
      { ...GOOD, "rescue-after": "7ms" },
      /"rescue-after" is "7ms": it is not "auto", "off", or .*write it like "250ms"/,
    ],
    ['ConfigMap "mesh-system/mesh-config" does not exist: create it', /does not exist: create it/],
  ];
  for (const [data, sentence] of rows) {
    const { config, problem } = judgeConfig(data, inForce, [...west, ...services]);
    assert.equal(config, inForce, JSON.stringify(data));
    assert.match(problem ?? "", sentence);
    assert.match(problem ?? "", /\. The last good values stay in force, "pod-cidrs" "10\.11\.0\.0\/16" among them$/);
  }
});

test("free ranges are accepted; a range in force stays when a peer claims it later, and may be divided", () => {
  const more = { ...GOOD, "pod-cidrs": "10.11.0.0/16,10.13.0.0/16", "service-cidrs": "10.96.0.0/16" };
  assert.equal(judgeConfig(more, inForce, [...west, ...services]).problem, undefined);
  const claimed = takenByPeers([
    { cluster: "north" as never, podCidrs: [parsePrefix("10.11.0.0/16")], serviceCidrs: [] },
  ]);
  for (const cidrs of ["10.11.0.0/16", "10.11.0.0/17,10.11.128.0/18"]) {
    const { config, problem } = judgeConfig({ ...GOOD, "pod-cidrs": cidrs }, inForce, claimed);
    assert.deepEqual([pods(config), problem], [cidrs, undefined]);
  }
});

test("without last good values, name and id are enough to serve agents; without those nothing is served", () => {
  const named = judgeConfig({ ...GOOD, "pod-cidrs": "junk" }, undefined, []);
  assert.deepEqual([named.config?.cluster, named.config?.podCidrs], ["east", undefined]);
  assert.match(
    named.problem ?? "",
    /Agents are served this cluster's state; the cluster joins no mesh until mesh-config is usable$/,
  );
  const mended = judgeConfig(GOOD, named.config, west);
  assert.deepEqual([pods(mended.config), mended.problem], ["10.11.0.0/16", undefined]);
  for (const data of [{ ...GOOD, "cluster-name": "East!" }, "does not exist"]) {
    const { config, problem } = judgeConfig(data, undefined, []);
    assert.equal(config, undefined);
    assert.match(problem ?? "", /Nothing is served until mesh-config is usable$/);
  }
});

test("the annotation is parsed as strictly as mesh-config; without a usable one the object's spec is used", () => {
  const object = (annotation: string | undefined, name = "east"): MeshCluster => ({
    metadata: { name, ...(annotation === undefined ? {} : { annotations: { [LAST_GOOD_CONFIG]: annotation } }) },
    spec: { id: 1, podCIDRs: ["10.77.0.0/16"], serviceCIDRs: ["10.91.0.0/16"] },
  });
  const kept = savedText(GOOD);
  assert.doesNotMatch(kept, /PEM/);
  assert.equal(pods(lastGoodConfig("gone", [object(kept)])), "10.11.0.0/16");
  assert.equal(pods(lastGoodConfig({ ...GOOD, "cluster-name": "East!" }, [object(kept)])), "10.11.0.0/16");
  for (const bad of [
    undefined,
    "",
    "{",
    "[]",
    "7",
    '{"cluster-name": 1}',
    kept.replace('"1"', '"2"'),
    kept.replace("east", "north"),
  ])
    assert.equal(pods(lastGoodConfig("gone", [object(bad)])), "10.77.0.0/16", bad);
  assert.deepEqual(lastGoodConfig({ ...GOOD, "pod-cidrs": "junk" }, [object(undefined)])?.servers, ["10.0.0.1:7443"]);
  assert.equal(lastGoodConfig("gone", [object(kept), object(kept, "west")]), undefined);
  assert.equal(pods(lastGoodConfig(GOOD, [object(kept), object(kept, "west")])), "10.11.0.0/16");
  assert.equal(lastGoodConfig({ ...GOOD, "cluster-name": "north" }, [object(kept)]), undefined);
});
