/** The scripts of deploy/kind refuse an unfit machine with one sentence and a fix, exit code 2. Fake docker, podman and kind. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { DEPLOY_BASE } from "../testing/member.js";

const KIND = join(DEPLOY_BASE, "../kind");
/** The programs of the machine that the scripts need before they refuse. */
const TOOLS = [
  "bash",
  "dirname",
  "basename",
  "grep",
  "awk",
  "cat",
  "id",
  "sort",
  "mkdir",
  "chmod",
  "mktemp",
  "find",
  "wc",
  "rm",
  "tar",
  "env",
  "node",
];
const PODMAN = 'case "$1" in --version) echo "podman version 4.3.1" ;; info) echo "$ROOTLESS" ;; esac';
const DOCKER = 'case "$1" in --version) echo "Docker version 28.0.0" ;; esac';

interface Outcome {
  readonly status: number | null;
  readonly text: string;
  readonly home: string;
}

/** `programs`: names with their shell code. The machine's docker, podman and kind are not in the PATH. */
function run(
  t: TestContext,
  script: string,
  programs: Readonly<Record<string, string>>,
  env = {},
  argv: readonly string[] = [],
): Outcome {
  const home = mkdtempSync(join(tmpdir(), "isthmus-kind-"));
  t.after(() => rmSync(home, { recursive: true }));
  const bin = join(home, "bin");
  mkdirSync(bin);
  for (const tool of TOOLS.filter((name) => !(name in programs))) {
    const found = tool === "node" ? process.execPath : spawnSync("which", [tool], { encoding: "utf8" }).stdout.trim();
    symlinkSync(found, join(bin, tool));
  }
  for (const [name, code] of Object.entries(programs)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${code}\n`);
    chmodSync(join(bin, name), 0o755);
  }
  const all = { PATH: bin, HOME: home, ...env };
  const { status, stderr } = spawnSync(join(KIND, script), argv, { env: all, encoding: "utf8" });
  return { status, text: stderr, home };
}

/** An engine whose nodes have the capabilities of this mask. */
const capable = (mask: string) => `${DOCKER.slice(0, -4)} exec) printf 'CapBnd:\\t${mask}\\n' ;; esac`;

const memory = (mib: number) => `echo ${mib * 1024}`;
/** The programs of a machine that has enough of everything. */
const ALL = { wc: "echo 0", kind: "true", kubectl: "true", docker: DOCKER, awk: memory(8192) };

for (const [what, script, programs, env, sentence] of [
  ["a missing tool", "up.sh", { docker: DOCKER, kubectl: "true" }, {}, /^Cannot go on: "kind" is not installed\n$/],
  [
    "no engine",
    "up.sh",
    { kind: "true", kubectl: "true" },
    {},
    /^Cannot go on: "docker" is not installed\. Install Docker or podman, or name one in CONTAINER_CLI\n$/,
  ],
  [
    "an engine that was named and is not there",
    "down.sh",
    ALL,
    { CONTAINER_CLI: "nerdctl" },
    /^Cannot go on: "nerdctl" is not installed\. /,
  ],
  [
    "an engine that does not answer",
    "up.sh",
    { ...ALL, docker: "exit 1" },
    {},
    /^Cannot go on: no answer from docker\. Start it, and run this as a user who may use it \("docker info" says why\)\n$/,
  ],
  [
    "podman without root",
    "up.sh",
    { kind: "true", kubectl: "true", podman: PODMAN },
    { ROOTLESS: "true" },
    /^Cannot go on: podman without root .* Run this as root: sudo -E /,
  ],
  ["a demo without clusters", "demo.sh", ALL, {}, /^Cannot go on: there are no clusters\. Run .*\/up\.sh first\n$/],
  [
    "upkeep without a demo",
    "upkeep.sh",
    { ...ALL, kubectl: "exit 1" },
    {},
    /^Cannot go on: there is no demo in east\. Run .*\/demo\.sh first\n$/,
  ],
  [
    "too little memory",
    "up.sh",
    { ...ALL, awk: memory(1000) },
    {},
    /^Cannot go on: 1000 MiB of memory are free, and two clusters take 4096\. Free some/,
  ],
  [
    "too few inotify instances",
    "up.sh",
    { ...ALL, wc: "echo 100000" },
    {},
    /^Cannot go on: -\d+ inotify instances are free, and two clusters take 80\. .*sysctl fs\.inotify\.max_user_instances=512\n$/,
  ],
  [
    "a Docker that cannot build, if there is something to build",
    "up.sh",
    { ...ALL, docker: `${DOCKER.slice(0, -4)} image | buildx) exit 1 ;; esac` },
    { IMAGES_READY: "1" },
    /^Cannot go on: docker has no buildx, which it needs to build images\. Install it \(Debian's package docker-buildx, Docker's docker-buildx-plugin\)\n$/,
  ],
  [
    "somebody else's cluster of that name",
    "up.sh",
    { ...ALL, kind: 'test "$1 $2" != "get clusters" || echo isthmus-east' },
    { IMAGES_READY: "1" },
    /^Cannot go on: there is a kind cluster "isthmus-east" that .*kubeconfig does not know: half made, or somebody else's\. .*\/down\.sh removes it\n$/,
  ],
  ...["0000003fffffffff", "0000007fffffffff", "000000bfffffffff"].map(
    (mask) =>
      [
        `an engine that gives a node the capabilities ${mask}`,
        "up.sh",
        { ...ALL, docker: capable(mask) },
        { IMAGES_READY: "1" },
        /Creating cluster east\nCannot go on: docker gives its containers no CAP_BPF or no CAP_PERFMON, .*Docker 23 or later, or podman; .*\/down\.sh removes/,
      ] as const,
  ),
] as const) {
  test(`${what} is refused with a fix`, (t) => {
    const { status, text } = run(t, script, programs, env);
    assert.match(text, sentence);
    assert.equal(status, 2);
  });
}

for (const script of ["up.sh", "down.sh", "restart.sh", "upkeep.sh"])
  test(`${script} refuses an argument before it does anything`, (t) => {
    const recorded = Object.fromEntries(
      ["kind", "kubectl", "docker"].map((name) => [name, `echo ${name} >>"$HOME/ran"`]),
    );
    const { status, text, home } = run(t, script, { ...ALL, ...recorded }, {}, ["--faults", "scale-down"]);
    assert.equal(
      text,
      `Cannot go on: ${script} takes no arguments, and was given "--faults scale-down". Run it without\n`,
    );
    assert.deepEqual([status, existsSync(join(home, "ran"))], [2, false]);
  });

test("sufficient capabilities are accepted", (t) => {
  const kind = 'test "$1" != load || exit 7';
  const { status, text } = run(
    t,
    "up.sh",
    { ...ALL, kind, docker: capable("000001ffffffffff") },
    { IMAGES_READY: "1" },
  );
  assert.match(text, /Loading the images into east\n/);
  assert.equal(status, 7);
});

for (const [what, programs, env] of [
  [
    "Docker without buildx is enough for images that are there",
    { docker: `${DOCKER.slice(0, -4)} buildx) exit 1 ;; exec) exit 7 ;; esac` },
    { IMAGES_READY: "1" },
  ],
  [
    "podman needs no buildx",
    { docker: "exit 1", podman: `${PODMAN.slice(0, -4)} image | buildx) exit 1 ;; exec) exit 7 ;; esac` },
    { ROOTLESS: "false" },
  ],
] as const) {
  test(what, (t) => {
    const { status, text } = run(t, "up.sh", { ...ALL, ...programs }, env);
    assert.match(text, /Creating cluster east\n$/);
    assert.equal(status, 7);
  });
}

test("podman with the name docker is used as podman by kind too", (t) => {
  const kind = 'echo "$KIND_EXPERIMENTAL_PROVIDER" >>"$HOME/asked"';
  const { status, text, home } = run(t, "down.sh", { ...ALL, docker: PODMAN, kind }, { ROOTLESS: "false" });
  assert.equal(status, 0, text);
  assert.deepEqual([...new Set(readFileSync(join(home, "asked"), "utf8").trim().split("\n"))], ["podman"]);
});
