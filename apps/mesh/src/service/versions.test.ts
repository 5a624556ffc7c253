/** Frontends of apiservers of adjacent versions (ADR 20). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FrontendReport, FrontendState } from "@isthmus/proto";
import { FRONTEND_STATES, frontendStateText, frontendStatus } from "@isthmus/records";
import { isFailed } from "./failed.js";
import { frontendJson } from "./json.js";
import { servicesTable } from "./render.js";

const received = (part: Parameters<typeof FrontendReport.fromPartial>[0]): FrontendReport =>
  FrontendReport.decode(FrontendReport.encode(FrontendReport.fromPartial({ service: "a/b", ...part })).finish());

test("of an older apiserver the text is shown, and an error other than a missing backend is a failure", () => {
  for (const [status, failed] of [
    ["Done", false],
    ["Applying: 1/2 nodes", false],
    ["Error: no ready backend", false],
    ["Error: no room", true],
  ] as const) {
    const frontend = received({ status });
    assert.equal(frontendStateText(frontend), status);
    assert.equal(isFailed(frontend), failed, status);
  }
});

test("of this version the enum is shown with its numbers, and no known state is a failure", () => {
  const applying = received({ ...frontendStatus(FrontendState.FRONTEND_STATE_APPLYING, 1, 2), status: "ignored" });
  assert.match(servicesTable([applying]), /Applying: 1\/2 nodes/);
  assert.equal((frontendJson(applying) as { status: string }).status, "Applying: 1/2 nodes");
  for (const { value } of FRONTEND_STATES) assert.equal(isFailed(received(frontendStatus(value))), false);
});

test("a number of a newer apiserver is shown as such and is a failure, whatever the text says", () => {
  const newer = received({ status: "Done", frontendState: 99 as FrontendState });
  assert.match(servicesTable([newer]), /Unknown \(99\)/);
  assert.equal(isFailed(newer), true);
});
