/** Checks that each context is reachable and permitted, and has a MeshCluster whose certificate request has its name. */
import { requestName } from "@isthmus/pki";
import type { Problem } from "../../access/advice.js";
import { configFix, configProblem } from "../../access/mesh-objects.js";
import type { Finding } from "../../output/findings.js";
import { kubectl } from "../../output/units.js";
import { type ClusterFacts, isUnknown } from "../facts/cluster-facts.js";

/** One finding for a context that is fine, otherwise one for each thing that is not. */
export function checkClusters(clusters: readonly ClusterFacts[]): readonly Finding[] {
  return clusters.flatMap((facts) => {
    if (facts.unreachable !== undefined) return [unreachable(facts, facts.unreachable)];
    const findings = [permissions(facts), membership(facts), config(facts)];
    const failed = findings.filter(({ status }) => status !== "ok");
    return failed.length > 0 ? failed : [ok(facts)];
  });
}

const finding = (facts: ClusterFacts, rest: Omit<Finding, "group" | "subject">): Finding => ({
  group: "clusters",
  subject: facts.context,
  ...rest,
});

function ok(facts: ClusterFacts): Finding {
  const message = `reachable, Kubernetes ${facts.kubernetes}, cluster "${facts.cluster?.metadata.name}" with id ${facts.cluster?.spec.id}`;
  return finding(facts, { status: "ok", message });
}

function unreachable(facts: ClusterFacts, problem: Problem): Finding {
  return finding(facts, { status: "fail", ...problem });
}

function permissions(facts: ClusterFacts): Finding {
  if (isUnknown(facts.missing)) {
    return finding(facts, { status: "unknown", message: `what this kubeconfig may do: ${facts.missing.unknown}` });
  }
  if (facts.missing.length === 0) return finding(facts, { status: "ok", message: "permitted" });
  return finding(facts, {
    status: "fail",
    message: `this kubeconfig may not: ${facts.missing.join(", ")}`,
    fix: "bind ClusterRole mesh-operator and Role mesh-system/mesh-operator (deploy/base) to your user",
  });
}

function membership(facts: ClusterFacts): Finding {
  const { cluster, clusterProblem } = facts;
  if (clusterProblem !== undefined) {
    return finding(facts, {
      status: "fail",
      message: clusterProblem,
      fix: `delete the objects of other clusters: ${kubectl(facts.context)} delete meshcluster NAME`,
    });
  }
  if (cluster === undefined) {
    return finding(facts, {
      status: "fail",
      message: "there is no MeshCluster",
      fix: "apply deploy/base and run clustermesh-apiserver with its ConfigMap mesh-system/mesh-config, whose Events say what is wrong with it",
    });
  }
  return request(facts, cluster.metadata.name ?? "", cluster.status?.storeRequest);
}

/** Fails while mesh-config is not in force: MeshPeers would get other ranges than those of mesh-config. */
function config(facts: ClusterFacts): Finding {
  const problem = facts.cluster && configProblem(facts.cluster);
  if (problem === undefined) return finding(facts, { status: "ok", message: "mesh-config is in force" });
  return finding(facts, { status: "fail", message: problem, fix: configFix(facts.context) });
}

function request(facts: ClusterFacts, name: string, pem: string | undefined): Finding {
  if (pem === undefined) {
    const fix = `check that clustermesh-apiserver runs: ${kubectl(facts.context)} -n mesh-system get pods`;
    return finding(facts, { status: "fail", message: `MeshCluster "${name}" holds no certificate request`, fix });
  }
  const asked = nameOf(pem);
  if (asked === name) return finding(facts, { status: "ok", message: "asks for its certificate" });
  return finding(facts, {
    status: "fail",
    message: `MeshCluster "${name}" asks for a certificate for "${asked}"`,
    fix: `remove the request, clustermesh-apiserver writes a new one: ${kubectl(facts.context)} patch meshcluster ${name} --subresource=status --type=merge -p '{"status":{"storeRequest":null}}'`,
  });
}

function nameOf(pem: string): string {
  try {
    return requestName(pem) ?? "";
  } catch {
    return "an unreadable request";
  }
}
