import assert from "node:assert/strict";
import { test } from "node:test";
import { status } from "@grpc/grpc-js";
import { createMetrics, type LogFields, type Logger, silentLogger } from "@isthmus/observe";
import { createFakeClock } from "@isthmus/testing";
import { adminError } from "./admin-error.js";
import { createRefusedCalls } from "./refused-calls.js";

test("a flood of refused calls logs one line a minute per method and status, and the counter has all", async () => {
  const lines: LogFields[] = [];
  const log: Logger = { ...silentLogger, warn: (_, fields = {}) => void lines.push(fields) };
  const [clock, metrics] = [createFakeClock(), createMetrics()];
  const tell = createRefusedCalls({ log, clock, metrics });
  const unknown = adminError(status.UNAUTHENTICATED, "no bearer token in the metadata");
  const denied = adminError(status.PERMISSION_DENIED, "no right");

  for (let i = 0; i < 1000; i++) tell("/mesh.v1.Admin/Status", unknown);
  tell("/mesh.v1.Admin/Status", denied);
  tell("/mesh.v1.Admin/CheckStore", denied);
  const said = lines.map(({ method, error, unlogged }) => [method, (error as Error).message, unlogged]);
  assert.deepEqual(said, [
    ["/mesh.v1.Admin/Status", unknown.message, 0],
    ["/mesh.v1.Admin/Status", denied.message, 0],
    ["/mesh.v1.Admin/CheckStore", denied.message, 0],
  ]);

  await clock.advance(60_000);
  tell("/mesh.v1.Admin/Status", unknown);
  assert.deepEqual([lines.length, lines[3]?.["unlogged"]], [4, 999]);
  const text = await metrics.text();
  assert.match(text, /mesh_admin_refused_total\{status="UNAUTHENTICATED"\} 1001/);
  assert.match(text, /mesh_admin_refused_total\{status="PERMISSION_DENIED"\} 2/);
});
