/** What goes wrong with a Kubernetes API: an answer that is a refusal, or no answer. */
import { MeshError } from "@isthmus/model";

export type KubeErrorData =
  | { readonly code: "KUBE_STATUS"; readonly status: number; readonly reason: string; readonly path: string }
  | { readonly code: "KUBE_UNREACHABLE"; readonly server: string }
  | { readonly code: "KUBE_ANSWER"; readonly path: string }
  | { readonly code: "KUBE_CONFIG"; readonly source: string };

export class KubeError extends MeshError<KubeErrorData> {
  /** HTTP status of a refusal; 0 when there was no answer. */
  get status(): number {
    return this.data.code === "KUBE_STATUS" ? this.data.status : 0;
  }
}

/** A `Status` body, or any text, of an answer ≥ 400. `credential`: what was not accepted, when that is what it says. */
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

export function hasStatus(thrown: unknown, ...statuses: readonly number[]): thrown is KubeError {
  return thrown instanceof KubeError && statuses.includes(thrown.status);
}

/**
 * The API understood us and refuses for good. Not: that it does not know us (401: a token is renewed), that it is too busy
 * (429) or too slow (408).
 */
export function isRefusal(thrown: unknown): thrown is KubeError {
  if (!(thrown instanceof KubeError) || thrown.status < 400 || thrown.status >= 500) return false;
  return ![401, 408, 429].includes(thrown.status);
}

/** A reason is a word, a message a sentence with a name or two; what answers need not be a Kubernetes API. */
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
