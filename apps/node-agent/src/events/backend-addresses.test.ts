/** Backends by their ids, as the map has them now. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BackendRow, backendId } from "@isthmus/bpf";
import { formatAddress, parseAddress } from "@isthmus/model";
import { createBackendAddresses } from "./backend-addresses.js";

test("a backend has its address while the row has its id", () => {
  const id = backendId(3, 5);
  const empty = BackendRow.decode(new Uint8Array(BackendRow.size));
  const row = BackendRow.encode({ ...empty, id, addr: parseAddress("10.1.0.2"), port: 8080 });
  const { byId } = createBackendAddresses({ maxEntries: 8, read: (index) => (index === 5 ? row : new Uint8Array(32)) });
  const found = byId(id);
  assert.deepEqual([found && formatAddress(found.address), found?.port], ["10.1.0.2", 8080]);
  for (const other of [0, backendId(4, 5), backendId(3, 6), backendId(3, 8)]) assert.equal(byId(other), undefined);
});
