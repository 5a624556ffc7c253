/** A node without Kubernetes: a cgroup, a pin folder, the datapath, and processes inside and outside the cgroup. */
import { join } from "node:path";
import { type Datapath, type DatapathOptions, openDatapath } from "../datapath.js";
import { makeCgroup, uniqueName } from "./cgroup.js";
import { OBJECTS } from "./objects.js";
import { type Sockets, startSockets } from "./sockets.js";
import { createWriter, type Writer } from "./writer.js";

export interface TestNode {
  readonly options: DatapathOptions & { readonly cgroup: string };
  readonly datapath: Datapath;
  readonly write: Writer;
  /** A process in the node's cgroup. */
  readonly pod: Sockets;
  /** A process outside the cgroup, which runs the servers. */
  readonly host: Sockets;
  /** Closes the datapath and opens it again, like an agent that restarts. */
  reopen(): Promise<void>;
  remove(): Promise<void>;
}

const SMALL = { frontends: 256, services: 256, backends: 1024, nodes: 64, udp: 1024 };

export async function startNode(name: string): Promise<TestNode> {
  const unique = uniqueName(name);
  const cgroup = makeCgroup(unique);
  const options = {
    bpffs: join("/sys/fs/bpf", unique),
    cgroup: cgroup.path,
    objectDir: OBJECTS,
    config: { clusterId: 1 },
    sizes: SMALL,
  };
  let datapath = await openDatapath(options);
  let write = createWriter(datapath);
  const pod = startSockets(cgroup.path);
  const host = startSockets();
  return {
    options,
    pod,
    host,
    get datapath() {
      return datapath;
    },
    get write() {
      return write;
    },
    reopen: async () => {
      datapath.close();
      datapath = await openDatapath(options);
      write = createWriter(datapath);
    },
    remove: async () => {
      await datapath.destroy();
      await Promise.all([pod.end(), host.end()]);
      cgroup.remove();
    },
  };
}
