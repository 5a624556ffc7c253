/** GET /metrics: on the health address, for the node itself, and optionally on another address, for scrapers off the node. */
import type { ServerResponse } from "node:http";
import { MeshError } from "@isthmus/model";
import { answer, type HttpListener, listenHttp } from "./http-listener.js";
import type { Metrics } from "./metrics.js";

/** Serves metrics and nothing else. Throws `ADDRESS_IN_USE` or `ADDRESS` when it cannot listen. */
export function startMetrics(address: string, metrics: Metrics): Promise<HttpListener> {
  return listenHttp(address, (request, response) => {
    if (request.method !== "GET" && request.method !== "HEAD") return answer(response, 405, "GET only\n");
    if ((request.url ?? "").split("?")[0] !== "/metrics") return answer(response, 404, "Path: /metrics\n");
    void scrape(response, metrics);
  });
}

/** Answers with all metrics, or with status 500 and a sentence when one of them cannot be read. */
export async function scrape(response: ServerResponse, metrics: Metrics): Promise<void> {
  try {
    response.setHeader("content-type", metrics.contentType);
    response.end(await metrics.text());
  } catch (thrown) {
    answer(response, 500, `${MeshError.from(thrown, "Cannot collect metrics").message}\n`);
  }
}
