/**
 * Does the kubelet's work for a process that is not a pod: a ServiceAccount token in a file, renewed at half of its life.
 */
import { rename, writeFile } from "node:fs/promises";
import { systemClock } from "@isthmus/model";
import { sleep } from "@isthmus/runtime";
import { text } from "../api/json.js";
import type { KubeApi } from "../api/kube-api.js";
import { labError } from "../plan/errors.js";

const LIFE_SECONDS = 3600;
const RETRY_MS = 5_000;

export interface TokenOptions {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** File that always contains a valid token. */
  readonly file: string;
}

/** Writes the first token. Throws when it cannot. */
export async function writeToken(api: KubeApi, options: TokenOptions): Promise<void> {
  const path = `/api/v1/namespaces/${options.namespace}/serviceaccounts/${options.serviceAccount}/token`;
  const answer = await api.post(path, {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    spec: { expirationSeconds: LIFE_SECONDS },
  });
  const token = text(answer, "status", "token");
  if (token === "")
    throw labError("STEP_FAILED", `Cannot read the token of "${options.serviceAccount}" from the answer`);
  const temporary = `${options.file}.new`;
  await writeFile(temporary, token, { mode: 0o600 });
  await rename(temporary, options.file);
}

/** Renews the token until aborted. A failed renewal is retried soon; the token stays valid for half of its life meanwhile. */
export async function keepToken(api: KubeApi, options: TokenOptions, signal: AbortSignal): Promise<void> {
  let waitMs = (LIFE_SECONDS / 2) * 1000;
  while (!signal.aborted) {
    await sleep(systemClock, waitMs, signal);
    if (signal.aborted) return;
    waitMs = await writeToken(api, options).then(
      () => (LIFE_SECONDS / 2) * 1000,
      () => RETRY_MS,
    );
  }
}
