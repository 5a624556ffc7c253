/** The client of a lab's supervisor, over its socket. A lab whose supervisor does not answer is `NOT_RUNNING`. */
import { request } from "node:http";
import { MeshError } from "@isthmus/model";
import { text } from "../api/json.js";
import { labError } from "../plan/errors.js";
import type { Action } from "./lab-service.js";
import type { ProcessRow, Selector } from "./process-table.js";
import type { ProgressEvent } from "./progress.js";

export interface LabClient {
  rows(): Promise<ProcessRow[]>;
  control(action: Action, selector: Selector): Promise<ProcessRow[]>;
  wipe(role: string): Promise<ProcessRow[]>;
  loadImage(file: string, cluster?: string): Promise<string[]>;
  /** Resolves at the last event: "ready" or "failed"; rejects when the supervisor exits before. */
  follow(listener: (event: ProgressEvent) => void, signal?: AbortSignal): Promise<ProgressEvent>;
}

export function createLabClient(name: string, socketPath: string): LabClient {
  const call = async <T>(method: "GET" | "POST", path: string, body?: unknown, signal?: AbortSignal): Promise<T> => {
    let answer = "";
    const keep = (piece: string) => {
      answer += piece;
    };
    const status = await exchange(socketPath, method, path, body, keep, signal).catch((cause: unknown) => {
      throw signal?.aborted === true ? silent(name, cause) : unsupervisedError(name, cause);
    });
    const decoded = JSON.parse(answer);
    if (status === 200) return decoded;
    throw new MeshError({ code: text(decoded, "code") || "UNKNOWN" }, text(decoded, "sentence"));
  };
  return {
    rows: () => call("GET", "/processes", undefined, AbortSignal.timeout(ROWS_MS)),
    control: (action, selector) => call("POST", "/control", { action, ...selector }),
    wipe: (role) => call("POST", "/wipe", { role }),
    loadImage: (file, cluster) => call("POST", "/load-image", { file, cluster }),
    follow: (listener, signal) => follow(socketPath, listener, signal),
  };
}

/** Time-out of a request that needs no work in the lab. */
const ROWS_MS = 10_000;

/** Processes without their supervisor are not restarted and cannot be adopted: the sentence first says what `up` does. */
export function unsupervisedError(name: string, cause?: unknown): MeshError {
  return labError(
    "NOT_RUNNING",
    `Lab "${name}" is not running: its supervisor is gone, and with it everything made in the lab is lost; "mesh lab up --name ${name}" builds an empty one in its place, "mesh lab down --name ${name}" removes what is left`,
    cause,
  );
}

function silent(name: string, cause: unknown): MeshError {
  return labError(
    "TIMEOUT",
    `Lab "${name}" does not answer within ${ROWS_MS / 1000}s: its supervisor is suspended or starved; wait and try again`,
    cause,
  );
}

async function follow(
  socketPath: string,
  listener: (event: ProgressEvent) => void,
  signal?: AbortSignal,
): Promise<ProgressEvent> {
  let rest = "";
  let last: ProgressEvent | undefined;
  const onPiece = (piece: string) => {
    const lines = (rest + piece).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const event: ProgressEvent = JSON.parse(line);
      last = event;
      listener(event);
    }
  };
  const cut = await exchange(socketPath, "GET", "/progress", undefined, onPiece, signal).catch(
    (cause: unknown) => cause,
  );
  signal?.throwIfAborted();
  if (last?.type === "ready" || last?.type === "failed") return last;
  throw labError("STEP_FAILED", "The lab was taken down before it was ready, or its supervisor was killed", cut);
}

function exchange(
  socketPath: string,
  method: string,
  path: string,
  body: unknown,
  onPiece: (piece: string) => void,
  signal?: AbortSignal,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const options = { socketPath, method, path, headers: { "content-type": "application/json" } };
    const sent = request(signal === undefined ? options : { ...options, signal }, (response) => {
      response.setEncoding("utf8").on("data", onPiece);
      response.on("error", reject);
      response.on("end", () => resolve(response.statusCode ?? 0));
      response.on("close", () => reject(new Error("the connection was cut")));
    });
    sent.on("error", reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
