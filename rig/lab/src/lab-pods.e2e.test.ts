/** What a user expects of pods, with the mesh's agent and CNI plugin: on the shared lab, in a namespace of its own. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { waitFor } from "./host/wait.js";
import { buildImage } from "./images/build-image.js";
import { DEMO_TAG } from "./images/lab-images.js";
import { nativeBinary } from "./images/native.js";
import { loadImage } from "./life/status.js";
import { kubectl as kubectlOf, labCommand } from "./testing/lab-user.js";
import { removeNamespace } from "./testing/remove-namespace.js";
import { type TestLab, testLab } from "./testing/test-lab.js";

const NAMESPACE = "lab-pods";

let lab: TestLab;
before(async () => {
  lab = await testLab();
  await kubectlOf(lab, "east", "create", "namespace", NAMESPACE);
});
after(async () => {
  await removeNamespace(lab, NAMESPACE);
  await lab.release();
});

const kubectl = (...args: string[]) => kubectlOf(lab, "east", "--namespace", NAMESPACE, ...args);
const base = () => ["--kubeconfig", lab.kubeconfig, "--context", "east", "--namespace", NAMESPACE];

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

test("a Deployment runs, and kubectl get -w shows it scale", { timeout: 60_000 }, async () => {
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
  const help = await labCommand("exec", "--name", lab.plan.name, "east", `${NAMESPACE}/${pod}`, "--", "/demo", "help");
  assert.match(help.err, /demo httpd/);
  assert.equal(help.code, 2);
  const forward = spawn(join(lab.bin, "kubectl"), [...base(), "port-forward", pod, ":8080"]);
  const [line] = await once(forward.stdout, "data");
  const port = Number(/127\.0\.0\.1:(\d+)/.exec(String(line))?.[1]);
  const socket = connect({ host: "127.0.0.1", port });
  socket.write("GET / HTTP/1.0\r\n\r\n");
  assert.match(String((await once(socket, "data"))[0]), /^HTTP\/1\.\d 200/);
  socket.destroy();
  forward.kill();
});

test("a loaded image runs", { timeout: 60_000 }, async () => {
  const source = await nativeBinary("reaper");
  const tag = "lab.isthmus.io/loaded:1";
  const archive = await buildImage({ tag, files: [{ path: "/run-me", source }], entrypoint: ["/run-me"] });
  assert.deepEqual((await loadImage(lab.plan.name, archive, "east")).sort(), ["east-1", "east-2"]);
  await kubectl("run", "loaded", `--image=${tag}`, "--image-pull-policy=Never");
  await kubectl("wait", "pod/loaded", "--for=condition=Ready", "--timeout=30s");
});

test("a deleted pod is removed", { timeout: 60_000 }, async () => {
  await kubectl("delete", "pod", "loaded", "--timeout=30s", "--grace-period=1");
  assert.equal(await kubectl("get", "pod", "loaded", "--ignore-not-found"), "");
});
