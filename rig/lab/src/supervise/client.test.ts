import assert from "node:assert/strict";
import { test } from "node:test";
import { createLabClient } from "./client.js";

test("the error for a lab without its supervisor says that its content is lost before it says how to build another", async () => {
  await assert.rejects(createLabClient("x", "/nowhere/lab.sock").rows(), {
    code: "NOT_RUNNING",
    message:
      /^Lab "x" is not running: .*everything made in the lab is lost; "mesh lab up --name x" builds an empty one/,
  });
});
