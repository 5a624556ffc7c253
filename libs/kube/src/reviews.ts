/** Token requests, token reviews and access reviews. */
import type { KubeClient } from "./client.js";

export interface TokenIdentity {
  /** `system:serviceaccount:mesh-system:mesh-cli` */
  readonly username: string;
  /** "" when the API gives none. */
  readonly uid: string;
  /** In the API's order; may be empty. */
  readonly groups: readonly string[];
}

export interface AccessQuestion {
  /** `get`, `create`, …, or a verb of another API. */
  readonly verb: string;
  /** "" is the core group. */
  readonly group: string;
  /** The plural: `meshclusters`. */
  readonly resource: string;
  /** Absent: objects of any name. */
  readonly name?: string;
  /** Absent: all namespaces, or a cluster-scoped resource. */
  readonly namespace?: string;
}

/**
 * Audience of tokens for the admin API of clustermesh-apiserver. A Kubernetes API does not accept such a token, and the
 * admin API does not accept a token for a Kubernetes API: a server that receives one cannot use it elsewhere.
 */
export const ADMIN_AUDIENCE = "mesh.isthmus.io/admin";

/** A token of a ServiceAccount, valid for `seconds` (the API may shorten it); `expires` in milliseconds since the epoch. */
export async function requestToken(
  client: KubeClient,
  namespace: string,
  account: string,
  seconds: number,
  audiences: readonly string[] = [],
): Promise<{ readonly token: string; readonly expires: number }> {
  const answer = await client.transport.json<{ status: { token: string; expirationTimestamp: string } }>({
    method: "POST",
    path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/serviceaccounts/${encodeURIComponent(account)}/token`,
    body: {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      spec: { expirationSeconds: seconds, ...(audiences.length === 0 ? {} : { audiences }) },
    },
  });
  return { token: answer.status.token, expires: Date.parse(answer.status.expirationTimestamp) };
}

/**
 * The identity of a token; undefined when the API does not accept it or when it is for none of `audiences` (empty: for
 * the API itself).
 */
export async function reviewToken(
  client: KubeClient,
  token: string,
  signal?: AbortSignal,
  audiences: readonly string[] = [],
): Promise<TokenIdentity | undefined> {
  const answer = await client.transport.json<{
    status?: {
      authenticated?: boolean;
      user?: { username?: string; uid?: string; groups?: string[] };
      audiences?: string[];
    };
  }>({
    method: "POST",
    path: "/apis/authentication.k8s.io/v1/tokenreviews",
    body: {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenReview",
      spec: { token, ...(audiences.length === 0 ? {} : { audiences }) },
    },
    signal,
  });
  const user = answer.status?.user;
  // An API without audience support accepts the token and returns no audiences.
  const accepted = answer.status?.audiences ?? [];
  if (audiences.length > 0 && !audiences.some((audience) => accepted.includes(audience))) return undefined;
  if (answer.status?.authenticated !== true || user?.username === undefined) return undefined;
  return { username: user.username, uid: user.uid ?? "", groups: user.groups ?? [] };
}

/** Asks by a SubjectAccessReview. Rejects with a KubeError when the API refuses the review or does not answer. */
export async function isAllowed(
  client: KubeClient,
  who: TokenIdentity,
  question: AccessQuestion,
  signal?: AbortSignal,
): Promise<boolean> {
  const answer = await client.transport.json<{ status?: { allowed?: boolean } }>({
    method: "POST",
    path: "/apis/authorization.k8s.io/v1/subjectaccessreviews",
    body: {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SubjectAccessReview",
      spec: { user: who.username, uid: who.uid, groups: who.groups, resourceAttributes: question },
    },
    signal,
  });
  return answer.status?.allowed === true;
}
