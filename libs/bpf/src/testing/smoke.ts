/**
 * `npm run -w @isthmus/bpf smoke`: loads the addon and the programs with this Node, attaches them to a new cgroup,
 * writes entries, and removes everything again. Exit code 0 when all of that worked.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { openDatapath } from "../datapath.js";
import { makeCgroup, uniqueName } from "./cgroup.js";
import { OBJECTS } from "./objects.js";
import { frontend } from "./writer.js";

const name = uniqueName("smoke");
const cgroup = makeCgroup(name);
const datapath = await openDatapath({
  bpffs: join("/sys/fs/bpf", name),
  cgroup: cgroup.path,
  objectDir: OBJECTS,
  config: { clusterId: 1 },
});
try {
  const [key, value] = frontend("10.96.0.1", 80, 6, 1);
  await datapath.frontends.insert(new Map([[key, value]]));
  assert.deepEqual((await datapath.frontends.load()).get(key), value);
  datapath.services.storeWord64(1, 0, 7n);
  assert.equal(datapath.services.read(1)[0], 7);
  await datapath.gracePeriod();
  console.log(
    `Node ${process.version}: addon and ${datapath.programs.size} programs work; a refused connect fails with ${datapath.refusal}`,
  );
} finally {
  await datapath.destroy();
  cgroup.remove();
}
