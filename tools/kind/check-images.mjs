/**
 * Checks the images: small, without build tools; each entry point starts, prints its version and refuses invalid settings.
 *
 *   node tools/kind/check-images.mjs     those of the engine in CONTAINER_CLI, docker if unset: what deploy/kind/up.sh has built
 */
import { spawnSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { StepFailed } from "../setup/step.mjs";
import { engineEnv } from "./engine.mjs";

const MESH = "lab.isthmus.io/mesh:dev";
const DEMO = "lab.isthmus.io/demo:1";
const ETCD = "lab.isthmus.io/etcd:dev";
const MOST_MB = { [MESH]: 200, [DEMO]: 2, [ETCD]: 80 };
const agent = "apps/node-agent/dist/main.js";
const apiserver = "apps/clustermesh-apiserver/dist/main.js";

const RUNS = [
  { image: MESH, argv: ["node", agent, "--version"], status: 0, says: /^node-agent \d+\.\d+\.\d+\n$/ },
  { image: MESH, argv: ["node", agent, "--nope"], status: 2, says: /^Cannot start: .*--nope/ },
  {
    image: MESH,
    argv: ["node", agent, "--servers=here"],
    status: 2,
    says: /^Cannot start: --servers is "here", write /,
  },
  { image: MESH, argv: ["node", apiserver, "--version"], status: 0, says: /^clustermesh-apiserver \d+\.\d+\.\d+\n$/ },
  { image: MESH, argv: ["node", apiserver], status: 2, says: /^Cannot start: --tls-dir is missing/ },
  { image: MESH, argv: ["node", apiserver, "--tls-dir=/nowhere"], status: 1, says: /Cannot use the certificates in/ },
  {
    image: MESH,
    argv: ["apps/cni/build/isthmus-cni"],
    env: ["CNI_COMMAND=VERSION"],
    status: 0,
    says: /"supportedVersions"/,
  },
  // The addon with its libraries, and the programs of the init container.
  { image: MESH, argv: ["node", "-e", 'require("./libs/bpf/native/build/Release/bpf.node")'], status: 0, says: /^$/ },
  {
    image: MESH,
    argv: ["sh", "-c", "stat -f -c %T / && mount --version"],
    status: 0,
    says: /^mount from util-linux/m,
  },
  {
    image: MESH,
    argv: [
      "sh",
      "-c",
      "for each in gcc cc clang-19 make npm apt-get dpkg; do command -v $each; done; test ! -e rig/lab",
    ],
    status: 0,
    says: /^$/,
  },
  { image: DEMO, argv: [], status: 2, says: /^demo httpd / },
  { image: ETCD, argv: ["etcd", "--version"], status: 0, says: /^etcd Version: 3\.[56]/ },
  { image: ETCD, argv: ["etcdctl", "version"], status: 0, says: /^etcdctl version: 3\.[56]/ },
  {
    image: ETCD,
    argv: [
      "sh",
      "-c",
      "mkdir /pki/new && touch /pki/new/file && test -f /pki/new/file && tar -C /pki -c new | tar -C /var/lib/store -x && rm -r /var/lib/store/new && sleep 0 && cat /etc/passwd | grep nonroot && ! test -w /usr/bin",
    ],
    status: 0,
    says: /^nonroot:/,
  },
  { image: ETCD, argv: ["store", "nope"], status: 2, says: /^usage: store / },
];

/** Throws `StepFailed` with the findings. `engine`: runs a command of the container engine, podman of this rig if omitted. */
export function checkImages(engine = podman) {
  const problems = [
    ...RUNS.flatMap((each) => problemOf(engine, each)),
    ...Object.keys(MOST_MB).flatMap((image) => inspect(engine, image)),
  ];
  if (problems.length > 0) throw new StepFailed(`The images are not as they should be:\n${problems.join("\n")}`);
}

function problemOf(engine, { image, argv, env = [], status, says }) {
  const settings = env.flatMap((each) => ["--env", each]);
  const ended = engine("run", "--rm", "--network", "none", ...settings, image, ...argv);
  const text = ended.stdout + ended.stderr;
  if (ended.status === status && says.test(text)) return [];
  const words = text.split("\n").slice(0, 3).join("\n");
  return [`${image} ${argv.join(" ")}: exit ${ended.status}, not ${status} with ${says}:\n${words}`];
}

function inspect(engine, image) {
  const [user, size] = engine("image", "inspect", "--format", "{{.Config.User}} {{.Size}}", image)
    .stdout.trim()
    .split(" ");
  return [
    ...(user === "65532:65532" ? [] : [`${image} runs as "${user}", not as 65532:65532`]),
    ...(Number(size) <= MOST_MB[image] * 1e6
      ? []
      : [`${image} has ${Math.round(size / 1e6)} MB, more than ${MOST_MB[image]}`]),
  ];
}

function podman(...args) {
  return spawnSync("podman", args, { env: engineEnv(), encoding: "utf8" });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const program = process.env.CONTAINER_CLI ?? "docker";
  try {
    checkImages((...args) => {
      const ended = spawnSync(program, args, { encoding: "utf8" });
      if (ended.error) throw new StepFailed(`Cannot run ${program}: ${ended.error.message}`);
      return ended;
    });
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
