/**
 * A small JSON client for a cluster's API server, as its administrator; only what bringing a lab up needs.
 *
 * In: a kubeconfig context. Out: decoded JSON; a status other than 2xx is `undefined` for GET and an error otherwise.
 */
import { Agent, request } from "node:https";
import { MeshError } from "@isthmus/model";
import type { KubeContext } from "../pki/kubeconfig.js";
import { labError } from "../plan/errors.js";

export interface KubeApi {
  /** Body of a 2xx answer; undefined for any other status, and while the server does not answer. */
  get(path: string): Promise<unknown>;
  post(path: string, body: unknown): Promise<unknown>;
  /** Why a GET does not return 2xx; undefined when it does. */
  refusal(path: string): Promise<string | undefined>;
  close(): void;
}

export function createKubeApi(context: KubeContext): KubeApi {
  if (!("certificate" in context.credential))
    throw labError("USAGE", "Cannot use a token here: a certificate is needed");
  const { certificate, key } = context.credential;
  const agent = new Agent({ ca: context.authority, cert: certificate, key, keepAlive: true, maxSockets: 4 });
  const send = (method: string, path: string, body?: unknown) => exchange(agent, context.server, method, path, body);
  return {
    async get(path) {
      const answer = await send("GET", path).catch(() => undefined);
      return answer !== undefined && answer.status < 300 ? answer.body : undefined;
    },
    async post(path, body) {
      const answer = await send("POST", path, body);
      if (answer.status < 300) return answer.body;
      throw labError(
        "STEP_FAILED",
        `Cannot POST "${path}": ${answer.status} ${JSON.stringify(answer.body).slice(0, 300)}`,
      );
    },
    async refusal(path) {
      try {
        const answer = await send("GET", path);
        return answer.status < 300 ? undefined : `${answer.status} ${failingLines(answer.body)}`;
      } catch (error) {
        return MeshError.from(error).message;
      }
    },
    close: () => agent.destroy(),
  };
}

/** The lines of a health endpoint's list that are not "[+]… ok". */
function failingLines(body: unknown): string {
  const lines = (typeof body === "string" ? body : JSON.stringify(body)).split("\n");
  return lines
    .filter((line) => !line.startsWith("[+]"))
    .join(" ")
    .slice(0, 300);
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

function exchange(agent: Agent, server: string, method: string, path: string, body?: unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { accept: "application/json", "content-type": "application/json" };
    const sent = request(new URL(path, server), { agent, method, headers, timeout: 5_000 }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => {
        text += piece;
      });
      response.on("error", reject);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: parse(text) }));
    });
    sent.on("timeout", () => sent.destroy(new Error("no answer in 5 s")));
    sent.on("error", reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
