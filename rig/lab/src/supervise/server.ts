/**
 * The supervisor's server: HTTP and JSON on a unix socket that only root can open.
 *
 *   GET  /progress     events, one JSON line each, until ready or failed
 *   GET  /processes    rows
 *   POST /control      {action, role, cluster?, node?}
 *   POST /wipe         {role}
 *   POST /load-image   {file, cluster?}
 *
 * An error is {code, sentence} with status 400.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { MeshError } from "@isthmus/model";
import { text } from "../api/json.js";
import { labError } from "../plan/errors.js";
import type { Action, LabService } from "./lab-service.js";
import type { Selector } from "./process-table.js";
import type { Progress } from "./progress.js";

export function createLabServer(service: LabService, progress: Progress): Server {
  return createServer((request, response) => {
    answer(service, progress, request, response).catch((thrown: unknown) => {
      const error = MeshError.from(thrown);
      if (!response.headersSent) response.writeHead(400, { "content-type": "application/json" });
      response.end(JSON.stringify({ code: error.code, sentence: error.message }));
    });
  });
}

async function answer(
  service: LabService,
  progress: Progress,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.url === "/progress") return followProgress(progress, response);
  const result = await route(service, request.url ?? "", request);
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify(result));
}

async function route(service: LabService, url: string, request: IncomingMessage): Promise<unknown> {
  if (url === "/processes") return service.rows();
  const body = await readBody(request);
  switch (url) {
    case "/control":
      return await service.control(actionOf(text(body, "action")), selectorOf(body));
    case "/wipe":
      return await service.wipe(selectorOf(body));
    case "/load-image":
      return await service.loadImage(text(body, "file"), text(body, "cluster") || undefined);
    default:
      throw labError("USAGE", `Unknown request "${url}"`);
  }
}

function followProgress(progress: Progress, response: ServerResponse): void {
  response.writeHead(200, { "content-type": "application/x-ndjson" });
  const stop = progress.follow((event) => {
    response.write(`${JSON.stringify(event)}\n`);
    if (event.type === "ready" || event.type === "failed") response.end();
  });
  response.on("close", stop);
}

function selectorOf(body: unknown): Selector {
  const [role, cluster, node] = [text(body, "role"), text(body, "cluster"), text(body, "node")];
  return { role, ...(cluster === "" ? {} : { cluster }), ...(node === "" ? {} : { node }) };
}

function actionOf(name: string): Action {
  if (name === "stop" || name === "start" || name === "kill" || name === "hold") return name;
  throw labError("USAGE", `Unknown action "${name}"`);
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const pieces: Uint8Array[] = [];
  for await (const piece of request) if (piece instanceof Uint8Array) pieces.push(piece);
  return JSON.parse(Buffer.concat(pieces).toString("utf8") || "{}");
}
