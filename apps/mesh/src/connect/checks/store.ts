/** Checks that the store is reachable from here and from every cluster, and that it authenticates writers. */
import type { Finding } from "../../output/findings.js";
import { counted } from "../../output/units.js";
import { type ClusterFacts, isUnknown } from "../facts/cluster-facts.js";
import type { StoreFacts } from "../facts/store-facts.js";

const GROUP = "store";

/** From here, from each cluster, then authentication and alarms. */
export function checkStore(clusters: readonly ClusterFacts[], store: StoreFacts): readonly Finding[] {
  return [...fromHere(store), ...clusters.flatMap(fromCluster), ...auth(store), ...space(store)];
}

function fromHere({ endpoints }: StoreFacts): Finding[] {
  const dead = endpoints.filter(({ problem }) => problem !== undefined);
  const alive = endpoints.length - dead.length;
  if (dead.length === 0)
    return [{ group: GROUP, status: "ok", subject: "from here", message: reached(alive, endpoints.length) }];
  // The store tolerates the loss of one of several members; it is still a warning.
  return dead.map(({ endpoint, problem }) => ({
    group: GROUP,
    status: alive === 0 ? "fail" : "warning",
    subject: "from here",
    message: `${endpoint}: ${problem}`,
    fix: "check the address and the credentials in the store file, and that etcd runs",
  }));
}

function fromCluster({ context, unreachable, cluster, store }: ClusterFacts): Finding[] {
  if (unreachable !== undefined || cluster === undefined) return [];
  const subject = `from ${cluster.metadata.name ?? context}`;
  if (isUnknown(store)) return [{ group: GROUP, status: "unknown", subject, message: store.unknown }];
  const dead = store.filter(({ reachable }) => !reachable);
  const alive = store.length - dead.length;
  if (dead.length === 0) return [{ group: GROUP, status: "ok", subject, message: reached(alive, store.length) }];
  return dead.map(({ endpoint, message }) => ({
    group: GROUP,
    status: alive === 0 ? "fail" : "warning",
    subject,
    message: `${endpoint}: ${message}`,
    fix: `open the way from the nodes of "${cluster.metadata.name}" to ${endpoint}`,
  }));
}

function auth({ auth }: StoreFacts): Finding[] {
  if (isUnknown(auth)) return [{ group: GROUP, status: "unknown", subject: "users", message: auth.unknown }];
  if (auth.enabled) return [{ group: GROUP, status: "ok", subject: "users", message: "the store checks who writes" }];
  return [
    {
      group: GROUP,
      status: "fail",
      subject: "users",
      message: "the store lets anyone write: authentication is off",
      fix: "as its owner: etcdctl user add root --no-password && etcdctl user grant-role root root && etcdctl auth enable",
    },
  ];
}

/** A full store refuses every write. Its quota and its compaction are flags of etcd that its API does not report. */
function space({ alarms }: StoreFacts): Finding[] {
  if (isUnknown(alarms)) return [{ group: GROUP, status: "unknown", subject: "space", message: alarms.unknown }];
  if (alarms.some((alarm) => /nospace/i.test(alarm))) {
    return [
      {
        group: GROUP,
        status: "fail",
        subject: "space",
        message: "the store is full and refuses writes (alarm NOSPACE)",
        fix: "compact and defragment it, then: etcdctl alarm disarm",
      },
    ];
  }
  return [
    { group: GROUP, status: "ok", subject: "space", message: "no alarm" },
    {
      group: GROUP,
      status: "unknown",
      subject: "limits",
      message: "etcd does not tell its flags --quota-backend-bytes and --auto-compaction-retention",
      fix: "look at how it is started; without compaction it fills up",
    },
  ];
}

function reached(alive: number, all: number): string {
  return `${alive} of ${counted(all, "endpoint")} ${alive === 1 ? "answers" : "answer"}`;
}
