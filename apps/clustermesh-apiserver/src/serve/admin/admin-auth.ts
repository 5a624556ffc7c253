/**
 * Authorizes calls of the admin API: the Kubernetes API must know the bearer token, it must be for this API's audience, and
 * its user must have the right.
 *
 * An accepted token is cached for 10 s and no longer than it is valid, a refused one for 3 s, each by its hash. When the
 * Kubernetes API does not answer, a call fails with UNAVAILABLE, which is not cached. A client cannot cause unbounded
 * reviews, use up the reviews of others, or open the breaker with tokens that are refused.
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
import { type AdminError, adminError, isAdminError } from "./admin-error.js";
import { createRecentAnswers } from "./recent-answers.js";
import { createReviewLimits } from "./review-limits.js";

/**
 * Rights of the admin API: `dial` lets the caller make this process connect to an address, `monitor` lets it see which pods
 * talk to whom.
 */
export type AdminRight = "read" | "dial" | "monitor";

export interface AdminAuth {
  /** `peer`: the caller's address. Rejects with an `ADMIN` error that carries the gRPC status. */
  check(metadata: Metadata, right: AdminRight, peer: string): Promise<void>;
  /** Stops timers; running reviews are not awaited. */
  close(): void;
}

const YES_MS = 10_000;
/** Short, so that a right that was just granted works at the next attempt. */
const NO_MS = 3000;
const MAX_REMEMBERED = 1000;
/** Concurrent reviews above which trusted tokens are limited like others. */
const MAX_REVIEWS = 64;
/** How long an accepted token is exempt from the limits of its address, which other clients at the address may use up. */
const TRUSTED_MS = 3_600_000;
/** Two calls must end before the CLI gives up (5 s). */
const REVIEW_MS = 2000;

const QUESTIONS: Readonly<Record<AdminRight, AccessQuestion>> = {
  read: { verb: "get", group: "mesh.isthmus.io", resource: "meshclusters" },
  // A separate verb: the right to read the mesh's objects must not include the right to make this process dial.
  dial: { verb: "check-store", group: "mesh.isthmus.io", resource: "meshclusters" },
  // Likewise: the right to read the mesh's objects does not show the traffic of all pods.
  monitor: { verb: "monitor", group: "mesh.isthmus.io", resource: "meshclusters" },
};

/** One for all servers of the process: its caches and limits hold for the Kubernetes API. Must be closed. */
export function createAdminAuth(modules: { readonly client: KubeClient; readonly clock: Clock }): AdminAuth {
  const { client, clock } = modules;
  const breaker = createBreaker({
    name: "the Kubernetes API for reviews",
    timeoutMs: REVIEW_MS,
    isHarmless: isRefusal,
  });
  const limits = createReviewLimits(clock);
  /** Separate caches: refused tokens cannot evict accepted ones. */
  const allowed = createRecentAnswers<true>(MAX_REMEMBERED, clock);
  const refused = createRecentAnswers<AdminError>(MAX_REMEMBERED, clock);
  const trusted = createRecentAnswers<true>(MAX_REMEMBERED, clock);
  const reviews = new Map<string, Promise<void>>();

  async function review(token: string, right: AdminRight): Promise<void> {
    const question = QUESTIONS[right];
    const user = await breaker
      .call((signal) => reviewToken(client, token, signal, [ADMIN_AUDIENCE]))
      .catch(unavailable("tokenreviews"));
    if (user === undefined)
      throw adminError(
        status.UNAUTHENTICATED,
        `the Kubernetes API does not know the token, or it is not for audience "${ADMIN_AUDIENCE}"`,
      );
    const permitted = await breaker
      .call((signal) => isAllowed(client, user, question, signal))
      .catch(unavailable("subjectaccessreviews"));
    if (!permitted) {
      const right = `"${question.verb}" on ${question.resource}.${question.group}`;
      throw adminError(status.PERMISSION_DENIED, `"${user.username}" lacks the right ${right}`);
    }
  }

  /** Concurrent calls with the same token and right share one review. */
  function reviewOnce(id: string, token: string, right: AdminRight, peer: string): Promise<void> {
    const running = reviews.get(id);
    if (running !== undefined) return running;
    const end = trusted.get(id) === true && reviews.size < MAX_REVIEWS ? () => undefined : limits.begin(peer);
    if (end === undefined)
      throw adminError(
        status.RESOURCE_EXHAUSTED,
        "too many token reviews from your address: try again in some seconds",
      );
    const started = review(token, right).finally(() => {
      reviews.delete(id);
      end();
    });
    reviews.set(id, started);
    return started;
  }

  function remember(id: string, token: string): void {
    allowed.set(id, true, Math.min(YES_MS, lifeMs(token, clock)));
    trusted.set(id, true, TRUSTED_MS);
  }

  return {
    async check(metadata, right, peer) {
      const [header] = metadata.get("authorization");
      const token = /^Bearer (\S+)$/.exec(String(header ?? ""))?.[1];
      if (token === undefined) throw adminError(status.UNAUTHENTICATED, "no bearer token in the metadata");
      const id = `${right} ${createHash("sha256").update(token).digest("base64")}`;
      if (allowed.get(id) === true) return;
      const refusal = refused.get(id);
      if (refusal !== undefined) throw refusal;
      try {
        await reviewOnce(id, token, right, peer);
      } catch (thrown) {
        if (isNo(thrown)) {
          refused.set(id, thrown, NO_MS);
          trusted.delete(id);
        }
        throw thrown;
      }
      remember(id, token);
    },
    close: () => breaker.close(),
  };
}

function isNo(thrown: unknown): thrown is AdminError {
  return (
    isAdminError(thrown) &&
    (thrown.data.status === status.UNAUTHENTICATED || thrown.data.status === status.PERMISSION_DENIED)
  );
}

/** Remaining validity of an accepted token by its `exp` claim; infinite without one. */
function lifeMs(token: string, clock: Clock): number {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
    const seconds = typeof claims === "object" && claims !== null && "exp" in claims ? Number(claims.exp) : Number.NaN;
    return Number.isFinite(seconds)
      ? Math.max(0, seconds * 1000 - clock.wallMicros() / 1000)
      : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** True for a refusal: it shows that the Kubernetes API works. Status 429 does not count: the API is overloaded. */
function isRefusal(thrown: unknown): boolean {
  return thrown instanceof KubeError && thrown.status >= 400 && thrown.status < 500 && thrown.status !== 429;
}

/** Details are only logged, since the caller is not authenticated yet. */
function unavailable(resource: string): (cause: unknown) => never {
  return (cause) => {
    const why = hasStatus(cause, 401, 403)
      ? `the Kubernetes API refuses this server (${cause.status}): clustermesh-apiserver's ServiceAccount needs "create" on ${resource}, and a valid token`
      : "the Kubernetes API does not answer, so the token cannot be reviewed; the log of clustermesh-apiserver says why";
    throw adminError(status.UNAVAILABLE, why, cause);
  };
}
