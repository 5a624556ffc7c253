import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CniError } from "./cni-error.js";
import { parseRequest } from "./cni-request.js";

const GOOD = { CNI_COMMAND: "ADD", CNI_CONTAINERID: "c1", CNI_NETNS: "/run/netns/x", CNI_IFNAME: "eth0" };

function request(variables: Readonly<Record<string, string>>, config = '{"cniVersion":"1.0.0"}'): Buffer {
  const entries = Object.entries(variables).map(([name, value]) => `${name}=${value}\0`);
  return Buffer.from(`isthmus-cni 1\n${entries.join("")}\0${config}`);
}

function refused(bytes: Buffer, cniCode: number, about: RegExp): void {
  assert.throws(
    () => parseRequest(bytes),
    (error) => {
      assert.ok(error instanceof CniError);
      assert.equal(error.data.cniCode, cniCode);
      assert.match(error.message, about);
      return true;
    },
  );
}

test("a request without pod arguments is valid", () => {
  assert.deepEqual(parseRequest(request(GOOD)).pod, { namespace: "", name: "", uid: "" });
});

test("the pod's cgroup is read when the runtime names it", () => {
  const config = (runtimeConfig: unknown) => JSON.stringify({ cniVersion: "1.0.0", runtimeConfig });
  const slice = "kubepods-burstable-pod1.slice";
  assert.equal(parseRequest(request(GOOD, config({ cgroupPath: slice }))).podCgroup, slice);
  for (const other of [undefined, null, {}, { cgroupPath: "" }, { cgroupPath: 7 }]) {
    assert.equal(parseRequest(request(GOOD, config(other))).podCgroup, undefined);
  }
});

test("host ports that the pod requests are read, and invalid mappings are skipped", () => {
  const of = (portMappings: unknown) =>
    parseRequest(request(GOOD, JSON.stringify({ cniVersion: "1.0.0", runtimeConfig: { portMappings } }))).hostPorts;
  const mapping = { hostPort: 8080, containerPort: 80, protocol: "tcp", hostIP: "" };
  assert.deepEqual(of([mapping, { HostPort: 53, ContainerPort: 53, Protocol: "UDP" }, { hostPort: 90 }]), [
    { port: 8080, protocol: 6 },
    { port: 53, protocol: 17 },
    { port: 90, protocol: 6 },
  ]);
  for (const other of [undefined, null, {}, "x", [null], [{}], [{ hostPort: 0 }], [{ hostPort: 1, protocol: "x" }]]) {
    assert.deepEqual(of(other), []);
  }
  assert.equal(of(Array.from({ length: 1000 }, () => mapping)).length, 64);
});

test("DEL is valid without a namespace, ADD is not", () => {
  assert.equal(parseRequest(request({ ...GOOD, CNI_COMMAND: "DEL", CNI_NETNS: "" })).netns, "");
  refused(request({ ...GOOD, CNI_NETNS: "" }), 4, /CNI_NETNS/);
});

test("values that ip could misread or that point outside the node's folders are refused", () => {
  refused(request({ ...GOOD, CNI_COMMAND: "FLY" }), 4, /CNI_COMMAND "FLY"/);
  refused(request({ ...GOOD, CNI_CONTAINERID: "-x" }), 4, /CNI_CONTAINERID/);
  for (const name of ["", "a b", "eth0\nlink del lo", "..", "x".repeat(16)]) {
    refused(request({ ...GOOD, CNI_IFNAME: name }), 4, /CNI_IFNAME/);
  }
  for (const path of ["run/x", "/run/../etc", "/run/netns/a b", "/x\ny"]) {
    refused(request({ ...GOOD, CNI_NETNS: path }), 4, /CNI_NETNS/);
  }
});

test("another CNI version and invalid JSON are refused", () => {
  refused(request(GOOD, '{"cniVersion":"0.2.0"}'), 1, /"0.2.0"/);
  refused(request(GOOD, "null"), 1, /undefined/);
  refused(request(GOOD, "{"), 6, /JSON/);
  refused(Buffer.from("GET / HTTP/1.1\0\0"), 6, /not sent by this version's plugin/);
});

test("any bytes give a request or a CniError", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.boolean(), (bytes, greeted) => {
      try {
        parseRequest(Buffer.concat([Buffer.from(greeted ? "isthmus-cni 1\n" : ""), bytes]));
      } catch (error) {
        assert.ok(error instanceof CniError);
      }
    }),
  );
});
