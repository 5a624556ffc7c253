/**
 * A cluster for tests of `mesh connect`: a real kube-apiserver with deploy/base applied, and a fake clustermesh-apiserver that
 * writes what the real one would (ConfigMap, MeshCluster, certificate request) and serves the admin API.
 */
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import {
  status as grpc,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from "@grpc/grpc-js";
import {
  ADMIN_AUDIENCE,
  CONFIG_MAPS,
  createKubeClient,
  createTransport,
  isAllowed,
  type KubeClient,
  type KubeConfigMap,
  loadKubeAccess,
  MESH_CLUSTERS,
  type MeshCluster,
  reviewToken,
} from "@isthmus/kube";
import { type KubeServer, kubeBinary, startKubeServer } from "@isthmus/kube/testing";
import { createAuthority, createKey, createRequest, issue } from "@isthmus/pki";
import {
  AdminService,
  CheckStoreResponse,
  type DiffPoliciesRequest,
  DiffPoliciesResponse,
  type DumpRequest,
  type DumpResponse,
  type ExplainPolicyRequest,
  ExplainPolicyResponse,
  type ExplainServiceRequest,
  ExplainServiceResponse,
  ListIdentitiesResponse,
  ListPoliciesResponse,
  ListServicesResponse,
  type MonitorRequest,
  type MonitorResponse,
  StatusResponse,
} from "@isthmus/proto";

export interface Member {
  readonly name: string;
  readonly server: KubeServer;
  readonly client: KubeClient;
  /** The key of its certificate request; in a real cluster it never leaves the Secret. */
  readonly storeKey: string;
  /** The answers of the admin API; tests change them to inject errors. */
  readonly answers: {
    status: StatusResponse;
    services: ListServicesResponse;
    explain: (request: ExplainServiceRequest) => ExplainServiceResponse;
    policies: ListPoliciesResponse;
    diffPolicies: (request: DiffPoliciesRequest) => DiffPoliciesResponse;
    identities: ListIdentitiesResponse;
    checkStore: CheckStoreResponse;
    explainPolicy: (request: ExplainPolicyRequest) => ExplainPolicyResponse;
    /** Written at the start of each stream of events, which then stays open. */
    monitor: (request: MonitorRequest) => readonly MonitorResponse[];
    /** Written to each reader of a map, whose stream then ends. */
    dump: (request: DumpRequest) => readonly DumpResponse[];
  };
  stop(): Promise<void>;
}

export const DEPLOY_BASE = fileURLToPath(new URL("../../../../deploy/base", import.meta.url));

export async function startTestCluster(name: string, id: number): Promise<Member> {
  const server = await startKubeServer();
  const transport = createTransport(loadKubeAccess({ kubeconfig: server.kubeconfig }));
  const client = createKubeClient(transport);
  try {
    await kubectl(server.kubeconfig, "apply", "-k", DEPLOY_BASE);
    await kubectl(server.kubeconfig, "wait", "--for=condition=Established", "crd", "--all", "--timeout=30s");
    const answers = {
      status: StatusResponse.fromPartial({ cluster: name, clusterId: id }),
      services: ListServicesResponse.fromPartial({}),
      explain: () => ExplainServiceResponse.fromPartial({}),
      policies: ListPoliciesResponse.fromPartial({}),
      diffPolicies: () => DiffPoliciesResponse.fromPartial({}),
      identities: ListIdentitiesResponse.fromPartial({}),
      checkStore: CheckStoreResponse.fromPartial({}),
      explainPolicy: () => ExplainPolicyResponse.fromPartial({}),
      monitor: (): readonly MonitorResponse[] => [],
      dump: (): readonly DumpResponse[] => [],
    };
    const authority = await createAuthority(`${name}-mesh-ca`);
    const admin = await serveAdmin(
      client,
      await issue(authority, { cn: name, sans: ["clustermesh-apiserver.mesh-system.svc"], usages: ["server"] }),
      answers,
    );
    const storeKey = await createKey();
    await client.create<KubeConfigMap>(CONFIG_MAPS, {
      metadata: { name: "mesh-config", namespace: "mesh-system" },
      data: { "cluster-name": name, "cluster-id": String(id), "admin-ca": authority.certificate },
    });
    await client.create<MeshCluster>(MESH_CLUSTERS, {
      metadata: { name },
      spec: { id, podCIDRs: [`10.${10 + id}.0.0/16`], serviceCIDRs: [`10.${95 + id}.0.0/16`] },
    });
    const status = {
      uid: `uid-${name}`,
      version: "0.1.0",
      storeRequest: await createRequest({ key: storeKey, cn: name }),
      adminServers: ["127.0.0.1:1", `127.0.0.1:${admin.port}`],
    };
    await client.mergePatch(MESH_CLUSTERS, name, { status }, { subresource: "status" });
    return {
      ...{ name, server, client, storeKey, answers },
      async stop() {
        admin.server.forceShutdown();
        transport.close();
        await server.stop();
      },
    };
  } catch (thrown) {
    await server.stop();
    throw thrown;
  }
}

/** One kubeconfig whose contexts are the members' names. */
export function writeContexts(members: readonly Member[], folder: string): string {
  const named = (of: (member: Member) => object) => members.map((member) => ({ name: member.name, ...of(member) }));
  const path = join(folder, "contexts.kubeconfig");
  const content = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": members[0]?.name,
    contexts: named(({ name }) => ({ context: { cluster: name, user: "admin" } })),
    clusters: named(({ server }) => ({
      cluster: {
        server: `https://127.0.0.1:${server.port}`,
        "certificate-authority": join(server.folder, "apiserver.crt"),
      },
    })),
    users: [{ name: "admin", user: { token: "admin-token" } }],
  };
  writeFileSync(path, JSON.stringify(content));
  return path;
}

/** Runs kubectl and returns its stdout; rejects with its stderr. */
export async function kubectl(kubeconfig: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(kubeBinary("kubectl"), ["--kubeconfig", kubeconfig, ...args]);
  return stdout;
}

/** Checks tokens as the real apiserver does: TokenReview, then SubjectAccessReview. */
async function serveAdmin(
  client: KubeClient,
  pair: { readonly certificate: string; readonly key: string },
  answers: Member["answers"],
): Promise<{ readonly server: Server; readonly port: number }> {
  const guarded =
    <Q, A>(answer: (request: Q) => A) =>
    (call: ServerUnaryCall<Q, A>, done: sendUnaryData<A>): void => {
      const token = String(call.metadata.get("authorization")[0] ?? "").replace(/^Bearer /, "");
      mayAsk(client, token)
        .then((allowed) => {
          if (allowed) done(null, answer(call.request));
          else done({ code: grpc.PERMISSION_DENIED, details: "this account may not ask" });
        })
        .catch((thrown: unknown) => done({ code: grpc.INTERNAL, details: String(thrown) }));
    };
  const monitor = (call: ServerWritableStream<MonitorRequest, MonitorResponse>): void => {
    for (const response of answers.monitor(call.request)) call.write(response);
  };
  const dump = (call: ServerWritableStream<DumpRequest, DumpResponse>): void => {
    for (const response of answers.dump(call.request)) call.write(response);
    call.end();
  };
  const server = new Server();
  server.addService(AdminService, {
    monitor,
    dump,
    status: guarded(() => answers.status),
    listServices: guarded(() => answers.services),
    explainService: guarded((request: ExplainServiceRequest) => answers.explain(request)),
    listPolicies: guarded(() => answers.policies),
    diffPolicies: guarded((request: DiffPoliciesRequest) => answers.diffPolicies(request)),
    listIdentities: guarded(() => answers.identities),
    checkStore: guarded(() => answers.checkStore),
    explainPolicy: guarded((request: ExplainPolicyRequest) => answers.explainPolicy(request)),
  });
  const credentials = ServerCredentials.createSsl(null, [
    { cert_chain: Buffer.from(pair.certificate), private_key: Buffer.from(pair.key) },
  ]);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", credentials, (error, bound) => (error === null ? resolve(bound) : reject(error))),
  );
  return { server, port };
}

async function mayAsk(client: KubeClient, token: string): Promise<boolean> {
  const who = await reviewToken(client, token, undefined, [ADMIN_AUDIENCE]);
  const question = { verb: "get", group: "mesh.isthmus.io", resource: "meshclusters" };
  return who !== undefined && isAllowed(client, who, question);
}
