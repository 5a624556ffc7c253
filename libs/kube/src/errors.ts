/** Errors of the Kubernetes API: a refusal, no answer, an unreadable answer, an unusable configuration. */
import { MeshError } from "@isthmus/model";

/** Codes of this package's errors with their data; docs/reference/errors.md is made of them. */
export type KubeErrorData =
  /**
   * The Kubernetes API refused a request; the sentence has its status and its message. Fix: 401: log in again, or replace the
   * token or certificate; 403: grant the missing right (`kubectl auth can-i --list`), or apply deploy/base again; 429 and 5xx: the
   * API server is busy or failing, programs retry by themselves.
   */
  | { readonly code: "KUBE_STATUS"; readonly status: number; readonly reason: string; readonly path: string }
  /**
   * There was no answer from the Kubernetes API, or its connection broke. Fix: check that its API server runs and that its address
   * can be reached from where this program runs: `kubectl get --raw /version`. Programs retry by themselves.
   */
  | { readonly code: "KUBE_UNREACHABLE"; readonly server: string }
  /**
   * An answer of the Kubernetes API is not what it should be: no JSON, or an event of a watch that is too large. Fix: check what
   * answers at the address; a proxy or a login page in between answers like this.
   */
  | { readonly code: "KUBE_ANSWER"; readonly path: string }
  /**
   * A kubeconfig, or the pod's ServiceAccount, cannot be used. Fix: correct what the sentence names, then check it with
   * `kubectl --context NAME get --raw /version`.
   */
  | { readonly code: "KUBE_CONFIG"; readonly source: string };

/** An error of the Kubernetes API, or of the way to it. */
export class KubeError extends MeshError<KubeErrorData> {
  /** HTTP status of a refusal; 0 when there was no answer. */
  get status(): number {
    return this.data.code === "KUBE_STATUS" ? this.data.status : 0;
  }
}

/** The error of an answer ≥ 400 whose body is a `Status` or any text. `credential`: what a 401 did not accept. */
export function statusError(
  method: string,
  path: string,
  status: number,
  body: string,
  credential?: string,
): KubeError {
  const { reason, message } = readStatus(body);
  const answer = `${status}${reason === "" ? "" : ` ${reason}`}${message === "" ? "" : `, "${message}"`}`;
  const advice =
    status === 401 && credential !== undefined
      ? `: it does not accept ${credential}; is it expired, or of another cluster?`
      : "";
  return new KubeError(
    { code: "KUBE_STATUS", status, reason, path },
    `Cannot ${method} "${path}": the Kubernetes API answers ${answer}${advice}`,
  );
}

/** True for a refusal (`KUBE_STATUS`) with one of these HTTP statuses. */
export function hasStatus(thrown: unknown, ...statuses: readonly number[]): thrown is KubeError {
  return thrown instanceof KubeError && statuses.includes(thrown.status);
}

/**
 * True when the API refused the request permanently. False for 401 (the token may be renewed), 429 (too busy) and 408
 * (too slow).
 */
export function isRefusal(thrown: unknown): thrown is KubeError {
  if (!(thrown instanceof KubeError) || thrown.status < 400 || thrown.status >= 500) return false;
  return ![401, 408, 429].includes(thrown.status);
}

/** Limits in characters, as the server need not be a Kubernetes API: a reason is a word, a message a sentence. */
const REASON_LENGTH = 100;
const MESSAGE_LENGTH = 2_048;
const PAGE_LENGTH = 200;

function readStatus(body: string): { reason: string; message: string } {
  const text = (value: unknown, most: number) => (typeof value === "string" ? value.slice(0, most) : "");
  try {
    const status = JSON.parse(body) as { reason?: unknown; message?: unknown } | null;
    return { reason: text(status?.reason, REASON_LENGTH), message: text(status?.message, MESSAGE_LENGTH) };
  } catch {
    return { reason: "", message: text(body.trim(), PAGE_LENGTH) };
  }
}
