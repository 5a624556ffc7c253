import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "@isthmus/model";
import { COMMANDS, parseLabArguments } from "./arguments.js";
import { HELP } from "./help.js";

test("options and operands come in any order; arguments after -- are not parsed", () => {
  const args = parseLabArguments([
    "exec",
    "--name",
    "x",
    "east",
    "default/web",
    "-o",
    "json",
    "--",
    "ls",
    "-o",
    "--name",
  ]);
  assert.equal(args?.command, "exec");
  assert.deepEqual(args?.operands, ["east", "default/web"]);
  assert.deepEqual(args?.rest, ["ls", "-o", "--name"]);
  assert.equal(args?.name, "x");
  assert.equal(args?.json, true);
});

test("defaults are two clusters of two nodes in a lab called lab", () => {
  const args = parseLabArguments(["up"]);
  assert.deepEqual([args?.name, args?.clusters, args?.nodes, args?.json], ["lab", ["east", "west"], 2, false]);
});

test("no arguments and --help request the help", () => {
  for (const words of [[], ["--help"], ["up", "-h"]]) assert.equal(parseLabArguments(words), undefined);
});

test("invalid arguments are usage errors", () => {
  const mistakes = [
    ["fly"],
    ["up", "--fly"],
    ["up", "now"],
    ["stop"],
    ["ps", "-o", "yaml"],
    ["up", "--nodes", "two"],
    ["down", "--nodes", "2"],
    ["up", "--cluster", "east"],
    ["up", "--all"],
    ["down", "--all", "--name", "x"],
    ["list", "--name", "x"],
    ["logs", "kubelet", "-f", "-o", "json"],
    ["ps", "-f"],
    ["up", "--datapath-mode", "tc"],
    ["down", "--datapath-mode", "packets"],
    ["ps", "--for", "1s"],
    ["up", "--one-way"],
    ["fault", "dark", "west", "--for", "soon"],
    ["fault", "dark", "west", "--for", "-1s"],
  ];
  for (const words of mistakes) {
    assert.throws(
      () => parseLabArguments(words),
      (error) => error instanceof MeshError && error.code === "USAGE" && !error.message.includes("\n"),
      words.join(" "),
    );
  }
});

test("the help names every command", () => {
  for (const command of COMMANDS) assert.ok(HELP.includes(command), command);
});
