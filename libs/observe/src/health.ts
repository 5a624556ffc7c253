/**
 * The health endpoint: GET /livez, /readyz, /metrics on a separate port.
 *
 * /livez checks this process only, /readyz local dependencies only, so that a remote failure neither restarts the
 * process nor takes it out of service. /readyz answers 200 or 503 with one line per check.
 */
import type { ServerResponse } from "node:http";
import { MeshError, printable } from "@isthmus/model";
import { answer, type HttpListener, listenHttp } from "./http-listener.js";
import type { Metrics } from "./metrics.js";
import { scrape } from "./metrics-endpoint.js";

export interface HealthCheck {
  /** One word, at the start of its line in the answer of /readyz. */
  readonly name: string;
  /** Undefined when fine; else one sentence. */
  check(): string | undefined;
  /** Information about a check that passes. */
  detail?(): string | undefined;
}

export interface HealthOptions {
  /** `127.0.0.1:9440`, `[::1]:9440`; port 0 takes a free one. */
  readonly address: string;
}

export interface HealthModules {
  /** What /metrics answers. */
  readonly metrics: Metrics;
  /** All checks of /readyz, called at each request, in the order of the answer. They must not block. */
  readonly ready: readonly HealthCheck[];
}

export type Health = HttpListener;

/** Limit for the sentence of a check, which may contain text from outside this process. */
const PROBLEM_LENGTH = 1_024;

/** Throws `ADDRESS_IN_USE` or `ADDRESS` when it cannot listen. */
export function startHealth(options: HealthOptions, modules: HealthModules): Promise<Health> {
  return listenHttp(options.address, (request, response) => {
    const path = (request.url ?? "").split("?")[0];
    if (request.method !== "GET" && request.method !== "HEAD") return answer(response, 405, "GET only\n");
    if (path === "/livez") return answer(response, 200, "ok\n");
    if (path === "/readyz") return readiness(response, modules.ready);
    if (path === "/metrics") return void scrape(response, modules.metrics);
    answer(response, 404, "Paths: /livez /readyz /metrics\n");
  });
}

function readiness(response: ServerResponse, checks: readonly HealthCheck[]): void {
  const results = checks.map(({ name, check, detail }) => {
    const problem = attempt(check);
    return { name, problem, text: problem ?? detail?.() };
  });
  const lines = results.map(
    ({ name, problem, text }) =>
      `${problem === undefined ? "ok" : "fail"}  ${name}${text === undefined ? "" : `: ${printable(text, PROBLEM_LENGTH)}`}\n`,
  );
  answer(response, results.every(({ problem }) => problem === undefined) ? 200 : 503, lines.join("") || "ok\n");
}

/** A check that throws counts as failed. */
function attempt(check: HealthCheck["check"]): string | undefined {
  try {
    return check();
  } catch (thrown) {
    return MeshError.from(thrown, "Cannot run the check").message;
  }
}
