import assert from "node:assert/strict";
import { test } from "node:test";
import { labPaths } from "../plan/paths.js";
import { makePlan } from "../plan/plan.js";
import { agentCommand, meshApiServerCommand } from "./mesh-processes.js";

const PROGRAMS = { node: "node", apiServerMain: "a.js", agentMain: "n.js", cniPlugin: "/cni", manifests: "/m" };
const plan = makePlan({ name: "lab", index: 0, clusters: ["east"], nodesPerCluster: 1, bare: false });
const [cluster] = plan.clusters;
const node = cluster?.nodes[0];

test("command lines of the mesh's programs", () => {
  assert.ok(cluster !== undefined && node !== undefined);
  const paths = labPaths("lab");
  assert.equal(
    meshApiServerCommand(PROGRAMS, cluster, paths).join(" "),
    "node a.js --kubeconfig /var/lib/isthmus/labs/lab/clusters/east/clustermesh-apiserver.kubeconfig --namespace mesh-system --instance east-0" +
      " --listen 10.200.0.1:7443 --admin 10.200.0.1:7444 --health 127.0.0.1:7500 --tls-dir /var/lib/isthmus/labs/lab/clusters/east/mesh-tls",
  );
  assert.equal(
    agentCommand(PROGRAMS, plan, cluster, node, { initPid: 42, cgroup: "/cg/isthmus-lab/node-east-1" }, paths).join(
      " ",
    ),
    "node n.js --node east-1 --node-root /proc/42/root --cgroup /cg/isthmus-lab/node-east-1 --bpffs /sys/fs/bpf/isthmus/lab/east-1" +
      " --servers 10.200.0.1:7443 --tls-dir /var/lib/isthmus/labs/lab/nodes/east-1/agent-tls" +
      " --state-dir /var/lib/isthmus/labs/lab/nodes/east-1/var-lib/isthmus/agent --health 127.0.0.1:7500 --cni-plugin /cni" +
      " --cni-bin-dir /var/lib/isthmus/cni/bin --cni-conf-dir /var/lib/isthmus/cni/net.d --cni-socket /run/isthmus/cni.sock",
  );
});
