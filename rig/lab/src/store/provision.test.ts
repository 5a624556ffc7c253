import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { provisioningRequests } from "./provision.js";
import { endOfPrefix, permissionsOf, readStoreUsers } from "./users.js";

test("authentication is turned on last, after root has its role", () => {
  const paths = provisioningRequests([{ name: "east", id: 1 }]).map(({ path }) => path);
  assert.equal(paths.at(-1), "/v3/auth/enable");
  assert.deepEqual(paths.slice(0, 3), ["/v3/auth/user/add", "/v3/auth/role/add", "/v3/auth/user/grant"]);
});

test("a cluster may write its own prefix and its own id, and read the rest", () => {
  assert.deepEqual(permissionsOf({ name: "east", id: 7 }), [
    { access: "READ", key: "/mesh/v1/", rangeEnd: "/mesh/v10" },
    { access: "READWRITE", key: "/mesh/v1/c/east/", rangeEnd: "/mesh/v1/c/east0" },
    { access: "READWRITE", key: "/mesh/v1/ids/7" },
  ]);
  assert.equal(endOfPrefix("a/"), "a0");
});

test("users are read as mesh connect writes them; no file means none", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "isthmus-lab-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "users.json");
  assert.deepEqual(await readStoreUsers(file), []);
  await writeFile(file, '{"users": [{"name": "east", "id": 1}, {"name": "no id"}]}');
  assert.deepEqual(await readStoreUsers(file), [{ name: "east", id: 1 }]);
});
