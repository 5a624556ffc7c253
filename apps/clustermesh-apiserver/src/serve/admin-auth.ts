/**
 * Who may ask the admin API: a bearer token that the Kubernetes API knows and that was made for this API, and a right.
 *
 * A yes is remembered for ten seconds, by the token's hash; a no never. No answer from Kubernetes is UNAVAILABLE, never a yes.
 * Nobody can make us review without bound, nor open the breaker with tokens that are refused.
 */
import { createHash } from "node:crypto";
import { type Metadata, status } from "@grpc/grpc-js";
import {
  type AccessQuestion,
  ADMIN_AUDIENCE,
  hasStatus,
  isAllowed,
  type KubeClient,
  KubeError,
  reviewToken,
} from "@isthmus/kube";
import type { Clock } from "@isthmus/model";
import { createBreaker } from "@isthmus/observe";
import { adminError } from "./admin-error.js";

/** Rights of the admin API: `dial` makes this process connect to an address of the caller's. */
export type AdminRight = "read" | "dial";

export interface AdminAuth {
  /** Rejects with an `ADMIN` error that carries the gRPC status. */
  check(metadata: Metadata, right: AdminRight): Promise<void>;
  close(): void;
}

const REMEMBER_MS = 10_000;
const MAX_REMEMBERED = 1000;
const MAX_REVIEWS = 32;
/** Two calls must end before the CLI gives up (5 s). */
const REVIEW_MS = 2000;

const QUESTIONS: Readonly<Record<AdminRight, AccessQuestion>> = {
  read: { verb: "get", group: "mesh.isthmus.io", resource: "meshclusters" },
  // A verb of its own: who may read the mesh's objects may not therefore make us dial.
  dial: { verb: "check-store", group: "mesh.isthmus.io", resource: "meshclusters" },
};

export function createAdminAuth(modules: { readonly client: KubeClient; readonly clock: Clock }): AdminAuth {
  const { client, clock } = modules;
  const breaker = createBreaker({ name: "the Kubernetes API for reviews", timeoutMs: REVIEW_MS, harmless: isRefusal });
  const allowed = new Map<string, number>();
  const reviews = new Map<string, Promise<void>>();

  async function review(token: string, right: AdminRight): Promise<void> {
    const question = QUESTIONS[right];
    const who = await breaker
      .call((signal) => reviewToken(client, token, signal, [ADMIN_AUDIENCE]))
      .catch(unavailable("tokenreviews"));
    if (who === undefined)
      throw adminError(
        status.UNAUTHENTICATED,
        `the Kubernetes API does not know the token, or it is not for audience "${ADMIN_AUDIENCE}"`,
      );
    const may = await breaker
      .call((signal) => isAllowed(client, who, question, signal))
      .catch(unavailable("subjectaccessreviews"));
    if (!may) {
      const right = `"${question.verb}" on ${question.resource}.${question.group}`;
      throw adminError(status.PERMISSION_DENIED, `"${who.username}" lacks the right ${right}`);
    }
  }

  /** The same question asked twice at once is one review. */
  function reviewOnce(id: string, token: string, right: AdminRight): Promise<void> {
    const running = reviews.get(id);
    if (running !== undefined) return running;
    if (reviews.size >= MAX_REVIEWS)
      throw adminError(status.RESOURCE_EXHAUSTED, "too many tokens are being reviewed, try again");
    const started = review(token, right).finally(() => reviews.delete(id));
    reviews.set(id, started);
    return started;
  }

  return {
    async check(metadata, right) {
      const [header] = metadata.get("authorization");
      const token = /^Bearer (\S+)$/.exec(String(header ?? ""))?.[1];
      if (token === undefined) throw adminError(status.UNAUTHENTICATED, "no bearer token in the metadata");
      const id = `${right} ${createHash("sha256").update(token).digest("base64")}`;
      const until = allowed.get(id);
      if (until !== undefined && until > clock.now()) return;
      await reviewOnce(id, token, right);
      if (allowed.size >= MAX_REMEMBERED) allowed.clear();
      allowed.set(id, clock.now() + REMEMBER_MS);
    },
    close: () => breaker.close(),
  };
}

/** An answer, be it a refusal, says that the Kubernetes API is well; that it is too busy does not. */
function isRefusal(thrown: unknown): boolean {
  return thrown instanceof KubeError && thrown.status >= 400 && thrown.status < 500 && thrown.status !== 429;
}

/** What exactly went wrong is in the log: who asks is not known yet. */
function unavailable(resource: string): (cause: unknown) => never {
  return (cause) => {
    const why = hasStatus(cause, 401, 403)
      ? `the Kubernetes API refuses us (${cause.status}): clustermesh-apiserver's ServiceAccount needs "create" on ${resource}, and a valid token`
      : "the Kubernetes API does not answer, so the token cannot be reviewed; the log of clustermesh-apiserver says why";
    throw adminError(status.UNAVAILABLE, why, cause);
  };
}
