/** The admin API of one cluster's clustermesh-apiserver, asked many times a second: what nodes of the cluster have in force. */
import { credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { ADMIN_AUDIENCE, CONFIG_MAPS, type KubeClient, type KubeConfigMap, requestToken } from "@isthmus/kube";
import {
  AdminClient,
  type IdentityReport,
  type ListIdentitiesResponse,
  type ListPoliciesResponse,
  type PolicyReport,
  type StatusResponse,
} from "@isthmus/proto";

export interface ClusterView {
  readonly policies: readonly PolicyReport[];
  readonly identities: readonly IdentityReport[];
  readonly status: StatusResponse;
}

export interface ClusterAdmin {
  /** Rejects when the server does not answer within two seconds. */
  look(): Promise<ClusterView>;
  close(): void;
}

const DEADLINE_MS = 2000;
const TOKEN_SECONDS = 600;
const RENEW_MS = 300_000;
/** In the certificate of every server. */
const SERVER_NAME = "clustermesh-apiserver.mesh-system.svc";

export async function openAdmin(client: KubeClient): Promise<ClusterAdmin> {
  const config = await client.get<KubeConfigMap>(CONFIG_MAPS, "mesh-config", { namespace: "mesh-system" });
  const [address = ""] = (config?.data?.["admin-servers"] ?? "").split(",");
  const ssl = credentials.createSsl(Buffer.from(config?.data?.["admin-ca"] ?? ""));
  const admin = new AdminClient(address.trim(), ssl, {
    "grpc.ssl_target_name_override": SERVER_NAME,
    "grpc.default_authority": SERVER_NAME,
    // The server is restarted all the time.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 500,
  });
  let metadata = new Metadata();
  let renewAt = 0;

  async function ask<T>(call: Call<T>): Promise<T> {
    return await new Promise<T>((resolve, reject) =>
      call(metadata, { deadline: Date.now() + DEADLINE_MS }, (error, answer) =>
        error === null ? resolve(answer) : reject(error),
      ),
    );
  }

  return {
    async look() {
      if (performance.now() >= renewAt) {
        const { token } = await requestToken(client, "mesh-system", "mesh-cli", TOKEN_SECONDS, [ADMIN_AUDIENCE]);
        metadata = new Metadata();
        metadata.set("authorization", `Bearer ${token}`);
        renewAt = performance.now() + RENEW_MS;
      }
      const { policies } = await ask<ListPoliciesResponse>((...args) => admin.listPolicies({ namespace: "" }, ...args));
      const { identities } = await ask<ListIdentitiesResponse>((...args) =>
        admin.listIdentities({ namespace: "" }, ...args),
      );
      // The last: what the other two say may have been sent to agents since.
      const status = await ask<StatusResponse>((...args) => admin.status({ figures: false }, ...args));
      return { policies, identities, status };
    },
    close: () => admin.close(),
  };
}

type Call<T> = (
  metadata: Metadata,
  options: { readonly deadline: number },
  done: (error: ServiceError | null, answer: T) => void,
) => unknown;
