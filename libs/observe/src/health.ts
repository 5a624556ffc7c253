/**
 * The health endpoint: GET /livez, /readyz, /metrics on a port of its own.
 *
 * /livez speaks of this process only; /readyz of local dependencies only, so that a remote failure never restarts or
 * removes us from service. Answers 200 or 503 with one line per check.
 */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { MeshError, printable } from "@isthmus/model";
import type { Metrics } from "./metrics.js";

export interface HealthCheck {
  readonly name: string;
  /** Undefined when fine; else one sentence. */
  check(): string | undefined;
  /** What is worth knowing of one that is fine. */
  detail?(): string | undefined;
}

export interface HealthOptions {
  /** `127.0.0.1:9440`, `[::1]:9440`; port 0 takes a free one. */
  readonly address: string;
}

export interface HealthModules {
  readonly metrics: Metrics;
  readonly ready: readonly HealthCheck[];
}

export interface Health {
  readonly port: number;
  close(): Promise<void>;
}

/** One line, whatever others put into the sentence. */
const PROBLEM_LENGTH = 1_024;

/** Throws `ADDRESS_IN_USE` or `ADDRESS` when it cannot listen. */
export async function startHealth(options: HealthOptions, modules: HealthModules): Promise<Health> {
  const { host, port } = splitHostPort(options.address);
  const server = createServer((request, response) => {
    const path = (request.url ?? "").split("?")[0];
    if (request.method !== "GET" && request.method !== "HEAD") return answer(response, 405, "GET only\n");
    if (path === "/livez") return answer(response, 200, "ok\n");
    if (path === "/readyz") return readiness(response, modules.ready);
    if (path === "/metrics") return void scrape(response, modules.metrics);
    answer(response, 404, "Paths: /livez /readyz /metrics\n");
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => reject(listenError(options.address, cause)));
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Splits `host:port`, `[v6]:port`. Throws `ADDRESS` with the text. */
export function splitHostPort(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3] ?? -1);
  if (match === null || port > 65535)
    throw new MeshError({ code: "ADDRESS", value: text }, `Cannot read "${text}" as "host:port"`);
  return { host: match[1] ?? match[2] ?? "", port };
}

function readiness(response: ServerResponse, checks: readonly HealthCheck[]): void {
  const results = checks.map(({ name, check, detail }) => {
    const problem = attempt(check);
    return { name, problem, said: problem ?? detail?.() };
  });
  const lines = results.map(
    ({ name, problem, said }) =>
      `${problem === undefined ? "ok" : "fail"}  ${name}${said === undefined ? "" : `: ${printable(said, PROBLEM_LENGTH)}`}\n`,
  );
  answer(response, results.every(({ problem }) => problem === undefined) ? 200 : 503, lines.join("") || "ok\n");
}

/** A check that throws is a check that fails. */
function attempt(check: HealthCheck["check"]): string | undefined {
  try {
    return check();
  } catch (thrown) {
    return MeshError.from(thrown, "Cannot tell").message;
  }
}

async function scrape(response: ServerResponse, metrics: Metrics): Promise<void> {
  try {
    response.setHeader("content-type", metrics.contentType);
    response.end(await metrics.text());
  } catch (thrown) {
    answer(response, 500, `${MeshError.from(thrown, "Cannot collect metrics").message}\n`);
  }
}

function answer(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(body);
}

function listenError(address: string, cause: NodeJS.ErrnoException): MeshError {
  const code = cause.code === "EADDRINUSE" ? "ADDRESS_IN_USE" : "ADDRESS";
  const reason = cause.code === "EADDRINUSE" ? "another process uses it" : cause.message;
  return new MeshError({ code, address }, `Cannot listen on "${address}": ${reason}`, { cause });
}
