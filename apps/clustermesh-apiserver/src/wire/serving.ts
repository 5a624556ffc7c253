/** The two servers: the stream to agents, and the admin API. */
import type { Mesh } from "../membership/mesh.js";
import { diffObjects } from "../policy-diff/diff-objects.js";
import type { Parts } from "../process/parts.js";
import { startAdminServer } from "../serve/admin/admin-server.js";
import { type AgentQueries, createAgentQueries } from "../serve/agents/agent-queries.js";
import { listAgents } from "../serve/agents/agent-roll.js";
import { createStreamHub, type StreamHub } from "../serve/agents/stream-hub.js";
import { startStreamServer } from "../serve/agents/stream-server.js";
import { reportCertificates, watchCertificates } from "../serve/grpc/certificates.js";
import { createHostPortEvents } from "../status/host-port-events.js";
import { countNotAccepted, policyReports } from "../status/policy-reports.js";
import { servicesWithoutClusterIp } from "../status/services-without-cluster-ip.js";
import { writtenService } from "../status/written-service.js";
import type { Base } from "./base.js";
import type { LocalCluster } from "./local-cluster.js";
import type { Settings } from "./settings.js";

const MAX_SNAPSHOTS = 32;
const MAX_AGENTS = 10_000;
/** Time to end streams and calls at shutdown. */
export const DRAIN_MS = 2000;

/** Rejects when the address cannot be listened on. */
export async function serveAgents(
  { args, log, clock, metrics, tls }: Base,
  { settings, cluster, id }: Settings,
  { sources, agents, recorder, healthAddresses, podAddresses }: LocalCluster,
  parts: Parts,
): Promise<{ readonly hub: StreamHub; readonly queries: AgentQueries }> {
  const limits = { maxSnapshots: MAX_SNAPSHOTS, maxAgents: MAX_AGENTS };
  const hub = parts.keep(createStreamHub(limits, { sources, agents, clock, metrics }), (each) => each.close());
  const queries = createAgentQueries();
  metrics.gauge(
    "mesh_query_streams",
    "Agents that answer queries, such as those of mesh monitor; fewer than mesh_stream_agents while some are of an older version",
    [],
    (gauge) => gauge.set(queries.size),
  );
  // An agent reports to one instance only, so that instance writes the Events whether or not it holds the Lease.
  const onReport = createHostPortEvents({ events: recorder, clock });
  const server = await startStreamServer(
    { address: args.listen, instance: args.instance, cluster, clusterId: id },
    {
      ...{
        hub,
        queries,
        tls,
        clock,
        log: log.child("serve"),
        servers: () => settings.current?.servers ?? [],
        onReport,
      },
      openNode(node, reports) {
        const [health, pods] = [healthAddresses.open(node, reports), podAddresses.open(node)];
        const close = () => {
          health.close();
          pods.close();
        };
        return { report: health.report, reportPod: pods.report, close };
      },
    },
  );
  parts.keep(server, (each) => each.close(DRAIN_MS));
  return { hub, queries };
}

/** Rejects when the address cannot be listened on. */
export async function serveAdmin(
  { args, log, clock, metrics, tls }: Base,
  { auth, cluster, id }: Settings,
  { sources, agents, applied, nodes, feeds }: LocalCluster,
  mesh: Mesh,
  queries: AgentQueries,
  parts: Parts,
): Promise<void> {
  const certificates = () => ({
    ...{ server: tls.certificate, ca: tls.ca },
    ...{ store: mesh.storeCertificate, "store-ca": mesh.storeCa },
  });
  watchCertificates(metrics, certificates);
  const server = await startAdminServer(
    { address: args.admin, clusterId: id, cluster },
    {
      ...{ auth, tls, log: log.child("admin"), clock, metrics, sources },
      status: () => ({
        ...mesh.report(),
        certificates: reportCertificates(certificates()),
        policiesNotAccepted: countNotAccepted(feeds.policies.policies.known()),
        auditedPods: feeds.pods.identities.auditedPods(),
      }),
      auditedPods: feeds.pods.identities.auditedPods,
      applied: applied.services,
      positions: agents.applied,
      reportedPolicies: agents.reportedPolicies,
      diffPolicies: (request) =>
        diffObjects(request, { sources, policies: feeds.policies.policies, local: { clusterId: id, cluster } }),
      policies: (request) => policyReports(feeds.policies.policies.known(), applied.policies(), request),
      monitor: {
        queries,
        nodes: () => listAgents(agents.reports(), nodes(), clock.now()).agents,
      },
      explain: {
        service: (name) => writtenService(feeds.services.services, name),
        appliedOn: applied.servicesOn,
      },
      withoutClusterIp: (request) => servicesWithoutClusterIp(feeds.services.services, request),
    },
  );
  parts.keep(server, (each) => each.close(DRAIN_MS));
}
