/** A whole lab of one cluster: what a user expects of pods, with our agent and CNI plugin. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { waitFor } from "./host/wait.js";
import { buildImage } from "./images/build-image.js";
import { DEMO_TAG } from "./images/lab-images.js";
import { nativeBinary } from "./images/native.js";
import { downLab } from "./life/down.js";
import type { LabHandle } from "./life/handle.js";
import { remainsOf } from "./life/remains.js";
import { loadImage } from "./life/status.js";
import { upLab } from "./life/up.js";
import { PACKAGE_ROOT } from "./plan/paths.js";

const NAME = `pods-${process.pid % 10_000}`;
const MAIN = join(PACKAGE_ROOT, "dist/main.js");
const run = promisify(execFile);

let lab: LabHandle;
before(async () => {
  lab = await upLab({ name: NAME, clusters: ["east"], nodes: 2 });
});
after(() => downLab({ name: NAME }));

const base = () => ["--kubeconfig", lab.kubeconfig, "--context", "east"];
const kubectl = async (...args: string[]) => (await run(join(lab.bin, "kubectl"), [...base(), ...args])).stdout;

function apply(manifest: unknown): Promise<unknown> {
  const child = spawn(join(lab.bin, "kubectl"), [...base(), "apply", "-f", "-"], {
    stdio: ["pipe", "ignore", "inherit"],
  });
  child.stdin.end(JSON.stringify(manifest));
  return once(child, "exit");
}

const WEB = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web" },
  spec: {
    replicas: 1,
    selector: { matchLabels: { app: "web" } },
    template: {
      metadata: { labels: { app: "web" } },
      spec: {
        terminationGracePeriodSeconds: 1,
        containers: [
          {
            name: "web",
            image: DEMO_TAG,
            imagePullPolicy: "Never",
            args: ["httpd", "--port", "8080"],
            readinessProbe: { httpGet: { port: 8080, path: "/" }, periodSeconds: 1 },
          },
        ],
      },
    },
  },
};

test("a Deployment runs, and get -w sees it scale", { timeout: 60_000 }, async () => {
  await apply(WEB);
  await kubectl("rollout", "status", "deploy/web", "--timeout=30s");
  const watch = spawn(join(lab.bin, "kubectl"), [...base(), "get", "deploy", "web", "--watch-only", "-o", "json"]);
  let seen = "";
  watch.stdout.on("data", (piece) => {
    seen += String(piece);
  });
  await waitFor(
    "the watch to see two ready replicas",
    async () => {
      await kubectl("scale", "deploy/web", "--replicas=2");
      return seen.includes('"readyReplicas": 2');
    },
    { timeoutMs: 30_000, everyMs: 500 },
  );
  watch.kill();
});

test("logs, exec and port-forward reach a pod", { timeout: 60_000 }, async () => {
  const pod = (await kubectl("get", "pods", "-o", "jsonpath={.items[0].metadata.name}")).trim();
  assert.match(await kubectl("logs", pod), /listening/);
  const help = await run("node", [MAIN, "exec", "--name", NAME, "east", `default/${pod}`, "--", "/demo", "help"]).catch(
    (error: { code: number; stderr: string }) => error,
  );
  assert.match(help.stderr, /demo httpd/);
  assert.equal("code" in help ? help.code : 0, 2);
  const forward = spawn(join(lab.bin, "kubectl"), [...base(), "port-forward", pod, ":8080"]);
  const [line] = await once(forward.stdout, "data");
  const port = Number(/127\.0\.0\.1:(\d+)/.exec(String(line))?.[1]);
  const socket = connect({ host: "127.0.0.1", port });
  socket.write("GET / HTTP/1.0\r\n\r\n");
  assert.match(String((await once(socket, "data"))[0]), /^HTTP\/1\.\d 200/);
  socket.destroy();
  forward.kill();
});

test("an image that was loaded runs", { timeout: 60_000 }, async () => {
  const source = await nativeBinary("reaper");
  const tag = "lab.isthmus.io/loaded:1";
  const archive = await buildImage({ tag, files: [{ path: "/run-me", source }], entrypoint: ["/run-me"] });
  assert.deepEqual((await loadImage(NAME, archive)).sort(), ["east-1", "east-2"]);
  await kubectl("run", "loaded", `--image=${tag}`, "--image-pull-policy=Never");
  await kubectl("wait", "pod/loaded", "--for=condition=Ready", "--timeout=30s");
});

test("a deleted pod is gone; down under running pods leaves nothing", { timeout: 60_000 }, async () => {
  await kubectl("delete", "pod", "loaded", "--timeout=30s", "--grace-period=1");
  assert.equal(await kubectl("get", "pod", "loaded", "--ignore-not-found"), "");
  await downLab({ name: NAME });
  assert.deepEqual(await remainsOf(lab.plan), []);
});
