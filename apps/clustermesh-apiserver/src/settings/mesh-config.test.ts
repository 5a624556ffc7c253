import assert from "node:assert/strict";
import { test } from "node:test";
import { formatPrefix, MeshError } from "@isthmus/model";
import { parseMeshConfig, salvageMeshConfig, savedText } from "./mesh-config.js";

const GOOD = { "cluster-name": "east", "cluster-id": "1", "pod-cidrs": "10.11.0.0/16", servers: "10.0.0.1:7443" };

test("the required fields alone and all fields are parsed", () => {
  assert.equal(parseMeshConfig(GOOD).serviceCidrs, undefined);
  const full = parseMeshConfig({
    ...GOOD,
    "pod-cidrs": "10.11.0.0/16, fd00:11::/48",
    "service-cidrs": "10.96.0.0/16",
    servers: "10.0.0.1:7443,[fd00::1]:7443",
    "admin-servers": "10.0.0.1:7444",
    "admin-ca": "PEM",
  });
  assert.deepEqual(full.podCidrs.map(formatPrefix), ["10.11.0.0/16", "fd00:11::/48"]);
  assert.deepEqual(full.servers, ["10.0.0.1:7443", "[fd00::1]:7443"]);
  assert.deepEqual([full.cluster, full.id, full.adminServers, full.adminCa], ["east", 1, ["10.0.0.1:7444"], "PEM"]);
});

test("policy-default-scope is local unless it is mesh, and is saved for the next start", () => {
  assert.equal(parseMeshConfig(GOOD).policyScope, "local");
  const data = { ...GOOD, "policy-default-scope": "mesh" };
  assert.equal(parseMeshConfig(data).policyScope, "mesh");
  assert.equal(parseMeshConfig(JSON.parse(savedText(data)) as Record<string, string>).policyScope, "mesh");
  assert.equal(salvageMeshConfig({ ...data, "pod-cidrs": "junk" })?.policyScope, "mesh");
  assert.equal(salvageMeshConfig({ ...GOOD, "policy-default-scope": "junk" })?.policyScope, "local");
  assert.throws(
    () => parseMeshConfig({ ...GOOD, "policy-default-scope": "all" }),
    /"policy-default-scope" is "all": it is neither "local" nor "mesh"/,
  );
});

test("policy-audit-mode is false unless it is set, is saved for the next start, and is never while it is not understood", () => {
  assert.equal(parseMeshConfig(GOOD).auditMode, "false");
  assert.equal(salvageMeshConfig({ ...GOOD, "pod-cidrs": "junk" })?.auditMode, "false");
  for (const mode of ["false", "true", "never"] as const) {
    const data = { ...GOOD, "policy-audit-mode": mode };
    assert.equal(parseMeshConfig(data).auditMode, mode);
    assert.equal(parseMeshConfig(JSON.parse(savedText(data)) as Record<string, string>).auditMode, mode);
    assert.equal(salvageMeshConfig({ ...data, "pod-cidrs": "junk" })?.auditMode, mode);
  }
  for (const bad of ["yes", "per-pod", "True", "off"]) {
    const data = { ...GOOD, "policy-audit-mode": bad };
    assert.throws(
      () => parseMeshConfig(data),
      new RegExp(`"policy-audit-mode" is "${bad}": it is none of "false", "true" and "never"`),
    );
    assert.equal(salvageMeshConfig(data)?.auditMode, "never");
  }
});

test("rescue-after is auto unless it is set, and is saved for the next start", () => {
  assert.equal(parseMeshConfig(GOOD).rescueAfter, "auto");
  for (const [text, value] of [
    ["off", "off"],
    ["auto", "auto"],
    [" 250ms ", 250],
  ] as const) {
    const data = { ...GOOD, "rescue-after": text };
    assert.equal(parseMeshConfig(data).rescueAfter, value);
    assert.equal(parseMeshConfig(JSON.parse(savedText(data)) as typeof GOOD).rescueAfter, value);
    assert.equal(salvageMeshConfig({ ...data, servers: "junk" })?.rescueAfter, value);
  }
  assert.equal(salvageMeshConfig({ ...GOOD, "rescue-after": "junk" })?.rescueAfter, "auto");
});

test("an invalid field is reported with its name and what to write", () => {
  const rows: readonly (readonly [Record<string, string>, string, RegExp])[] = [
    [{ "cluster-name": "" }, "cluster-name", /"cluster-name" is missing, set it, for example to "east"/],
    [{ "cluster-name": "East" }, "cluster-name", /"cluster-name" is "East".*DNS label.*write it like "east"/],
    [{ "cluster-id": "0" }, "cluster-id", /whole number from 1 to 4094/],
    [{ "cluster-id": "0x10" }, "cluster-id", /write it like "1"/],
    [{ "pod-cidrs": "10.11.0.1/16" }, "pod-cidrs", /bits beyond the prefix length are set/],
    [{ servers: "10.0.0.1" }, "servers", /host:port/],
    [
      { "rescue-after": "11s" },
      "rescue-after",
      /"rescue-after" is "11s": it is not "auto", "off", or a duration from "50ms" to "10s"; write it like "250ms"/,
    ],
    [
      { "service-cidrs": "10.11.4.0/24" },
      "pod-cidrs",
      /"10\.11\.0\.0\/16" in "pod-cidrs" overlaps "10\.11\.4\.0\/24" in "service-cidrs", write disjoint ones/,
    ],
    [{ "pod-cidrs": Array(65).fill("10.11.0.0/16").join() }, "pod-cidrs", /it has 65 items, at most 64/],
    [{ servers: `${"h".repeat(300)}:7443` }, "servers", /an item is longer than 256 characters/],
  ];
  for (const [change, field, sentence] of rows) {
    assert.throws(
      () => parseMeshConfig({ ...GOOD, ...change }),
      (error) =>
        error instanceof MeshError &&
        (error.data as { field?: string }).field === field &&
        sentence.test(error.message),
      JSON.stringify(change),
    );
  }
});
