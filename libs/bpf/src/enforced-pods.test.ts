import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesKey, formatAddress, parseAddress } from "@isthmus/model";
import { readEnforcedPods } from "./enforced-pods.js";
import { EndpointKey, EndpointRow, openDatapath, PodPolicyWord } from "./index.js";
import { startNode } from "./testing/node.js";

test("pods with a policy set are read from pins; a row that no entry names, a pod that had a policy once, and one in audit mode, are not among them", async (t) => {
  const node = await startNode("enforced");
  t.after(() => node.remove());
  const { bpffs } = node.options;
  assert.deepEqual(await readEnforcedPods(bpffs), []);
  node.datapath.close();
  const datapath = await openDatapath({ ...node.options, mode: "packets" });
  assert.deepEqual(await readEnforcedPods(bpffs), []);
  const [path, entries] = [datapath.packets, new Map<string, Uint8Array>()];
  assert.ok(path);
  for (const [index, address, set, audit, isNamed] of [
    [1, "10.1.0.1", 7, 0, true],
    [2, "10.1.0.2", 0, 0, true],
    [3, "10.1.0.3", 7, 0, false],
    [4, "fd00::4", 8, 0, true],
    [5, "10.1.0.5", 7, 1, true],
  ] as const) {
    path.endpoints.storeWord32(index, EndpointRow.offsets.id, index);
    path.endpoints.storeWord64(index, EndpointRow.offsets.policy, PodPolicyWord.toWord({ set, audit, revision: 9 }));
    const key = bytesKey(EndpointKey.encode({ addr: parseAddress(address) }));
    if (isNamed) entries.set(key, new Uint8Array(Uint32Array.of(index).buffer));
  }
  await path.endpointIndex.insert(entries);
  datapath.close();
  assert.deepEqual((await readEnforcedPods(bpffs)).map(formatAddress).sort(), ["10.1.0.1", "fd00::4"]);
  await node.reopen();
  assert.deepEqual(await readEnforcedPods(bpffs), []);
});
