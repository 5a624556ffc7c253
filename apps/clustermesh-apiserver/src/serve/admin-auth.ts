/**
 * Who may ask the admin API: a bearer token that the Kubernetes API knows, and the right to get MeshClusters.
 *
 * An answer is remembered for ten seconds, by the token's hash. No answer from Kubernetes is UNAVAILABLE, never a yes.
 */
import { createHash } from "node:crypto";
import { type Metadata, status } from "@grpc/grpc-js";
import { isAllowed, type KubeClient, reviewToken } from "@isthmus/kube";
import { type Clock, MeshError } from "@isthmus/model";
import { createBreaker } from "@isthmus/observe";

export interface AdminAuth {
  /** Rejects with an `ADMIN_AUTH` error that carries the gRPC status. */
  check(metadata: Metadata): Promise<void>;
  close(): void;
}

export type AdminAuthError = MeshError<{ code: "ADMIN_AUTH"; status: status }>;

const REMEMBER_MS = 10_000;
const MAX_REMEMBERED = 1000;
const QUESTION = { verb: "get", group: "mesh.isthmus.io", resource: "meshclusters" } as const;

export function createAdminAuth(modules: { readonly client: KubeClient; readonly clock: Clock }): AdminAuth {
  const { client, clock } = modules;
  const breaker = createBreaker({ name: "the Kubernetes API for reviews", timeoutMs: 5000 });
  const allowed = new Map<string, number>();

  async function review(token: string): Promise<void> {
    const who = await breaker.call((signal) => reviewToken(client, token, signal)).catch(unavailable);
    if (who === undefined) throw refused(status.UNAUTHENTICATED, "the Kubernetes API does not know the token");
    const may = await breaker.call((signal) => isAllowed(client, who, QUESTION, signal)).catch(unavailable);
    if (!may) throw refused(status.PERMISSION_DENIED, `"${who.username}" may not get meshclusters.mesh.isthmus.io`);
  }

  return {
    async check(metadata) {
      const [header] = metadata.get("authorization");
      const token = /^Bearer (\S+)$/.exec(String(header ?? ""))?.[1];
      if (token === undefined) throw refused(status.UNAUTHENTICATED, "no bearer token in the metadata");
      const id = createHash("sha256").update(token).digest("base64");
      const until = allowed.get(id);
      if (until !== undefined && until > clock.now()) return;
      await review(token);
      if (allowed.size >= MAX_REMEMBERED) allowed.clear();
      allowed.set(id, clock.now() + REMEMBER_MS);
    },
    close: () => breaker.close(),
  };
}

function refused(code: status, why: string): AdminAuthError {
  return new MeshError({ code: "ADMIN_AUTH", status: code }, `Cannot answer: ${why}`);
}

function unavailable(cause: unknown): never {
  const why = `no review of the token: ${MeshError.from(cause).message}`;
  throw new MeshError({ code: "ADMIN_AUTH", status: status.UNAVAILABLE }, `Cannot answer: ${why}`, { cause });
}
