import assert from "node:assert/strict";
import { test } from "node:test";
import { FrontendFlag, FrontendKey, FrontendRow, keyCheck } from "@isthmus/bpf";
import { bytesKey, keyBytes, parseAddress, TCP } from "@isthmus/model";
import { frontendName, frontendValue, isRejectName, otherProxyName, otherProxyValue, rejectName } from "./frontends.js";

const VIP = parseAddress("10.96.255.200");

test("names and values equal the bytes of the codecs", () => {
  const name = frontendName(VIP, 50443, TCP);
  const key = FrontendKey.encode({ addr: VIP, port: 50443, proto: TCP, scope: 0 });
  assert.equal(name, bytesKey(key));
  for (const service of [1, 255, 256, 65535, 0x00abcdef]) {
    const row = FrontendRow.encode({ service, flags: 0, check: keyCheck(key) });
    assert.equal(frontendValue(name, service), bytesKey(row));
  }
});

test("the row for unknown ports has port and protocol 0 and refuses", () => {
  const name = rejectName(frontendName(VIP, 80, TCP));
  const { addr, ...rest } = FrontendKey.decode(keyBytes(name));
  assert.deepEqual([Buffer.compare(addr, VIP), rest], [0, { port: 0, proto: 0, scope: 0 }]);
  assert.deepEqual([isRejectName(name), isRejectName(frontendName(VIP, 80, TCP))], [true, false]);
  const row = FrontendRow.decode(keyBytes(frontendValue(name, 0)));
  assert.deepEqual([row.service, row.flags], [0, FrontendFlag.Reject]);
});

test("the row that leaves a VIP to another proxy has the key of the row that would refuse its unknown ports", () => {
  const name = otherProxyName(VIP);
  assert.equal(name, rejectName(frontendName(VIP, 80, TCP)));
  const row = FrontendRow.decode(keyBytes(otherProxyValue(name)));
  assert.deepEqual([row.service, row.flags, row.check], [0, FrontendFlag.Pass, keyCheck(keyBytes(name))]);
});
