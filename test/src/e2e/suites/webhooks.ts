/** Admission webhooks that name a Service. The lab's kube-apiserver is not a pod, so it dials the Service's endpoints. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { CONFIG_MAPS, type KubeObject, PODS, type Resource, SERVICES } from "@isthmus/kube";
import { createAuthority, issue, writePair } from "@isthmus/pki";
import type { Cluster } from "../cluster.js";
import { eventually } from "../eventually.js";
import { idler, NAMESPACE, service } from "../objects.js";
import { type PodProcess, startInPod } from "../pod-process.js";
import { processOf } from "../processes.js";
import { MANAGER, type TestClusters } from "../world.js";

const HOOKS: Resource = {
  group: "admissionregistration.k8s.io",
  version: "v1",
  plural: "validatingwebhookconfigurations",
  kind: "ValidatingWebhookConfiguration",
  namespaced: false,
};
const NAME = "hook";
const PORT = 8443;
const SERVER = fileURLToPath(new URL("../webhook-server.js", import.meta.url));

export function webhookTests(at: () => TestClusters): void {
  describe("Webhooks", () => {
    test("a webhook that names a Service is called, and its answer is applied", async (t) => {
      const { east, lab } = at();
      const authority = await createAuthority("hook");
      const folder = await mkdtemp(join(tmpdir(), "isthmus-hook-"));
      t.after(() => rm(folder, { recursive: true }));
      await writePair(
        folder,
        "hook",
        await issue(authority, { cn: NAME, sans: [`${NAME}.${NAMESPACE}.svc`], usages: ["server"] }),
      );
      const server = await startServer(lab.plan.name, east, folder);
      t.after(() => server.stop());
      await east.client.apply(SERVICES, service(NAME, { port: 443, targetPort: PORT }), MANAGER);
      await eventually(
        "the kube-apiserver to know an endpoint",
        () =>
          east.kubectl(
            "get",
            "endpointslices",
            "-l",
            `kubernetes.io/service-name=${NAME}`,
            "-o",
            "jsonpath={.items[*].endpoints[*].conditions.ready}",
          ),
        ({ out }) => out === "true",
      );
      await east.client.apply(HOOKS, configuration(authority.certificate), MANAGER);
      t.after(() => east.client.delete(HOOKS, NAME));

      const refusal = await eventually(
        "a refusal in the webhook's words",
        () => create(east, "bad", { refuse: "" }),
        (said) => said.includes("the webhook in the pod says no"),
      );
      assert.match(refusal, /admission webhook "hook\.isthmus\.io" denied the request/);
      assert.equal(await create(east, "good", {}), "made");
      // The webhook prints before it answers, but the test may read its pipe after the answer.
      await eventually(
        "the webhook to have been asked",
        async () => server.lines,
        (lines) => lines.includes("good"),
      );
    });
  });
}

async function startServer(lab: string, east: Cluster, folder: string): Promise<PodProcess> {
  const [node] = east.plan.nodes;
  assert.ok(node !== undefined);
  await east.client.apply(PODS, idler(NAME, node.name), MANAGER);
  const address = await eventually(
    "the webhook's pod",
    async () => (await east.kubectl("get", "pod", NAME, "-o", "jsonpath={.status.podIP}")).out,
    (ip) => ip !== "",
    60_000,
  );
  const { pid } = await processOf(lab, { role: "kubelet", node: node.name });
  const pair = [join(folder, "hook.crt"), join(folder, "hook.key")];
  const server = await startInPod(pid, address, [process.execPath, SERVER, String(PORT), ...pair]);
  await eventually(
    "the webhook to listen",
    async () => server.lines.length,
    (lines) => lines > 0,
  );
  return server;
}

/** Calls the webhook only for the tests' namespace and for objects that opt in. */
function configuration(ca: string): KubeObject {
  const webhook = {
    name: "hook.isthmus.io",
    clientConfig: {
      service: { namespace: NAMESPACE, name: NAME, port: 443 },
      caBundle: Buffer.from(ca).toString("base64"),
    },
    rules: [{ operations: ["CREATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["configmaps"] }],
    namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": NAMESPACE } },
    objectSelector: { matchLabels: { hook: "asked" } },
    ...{ failurePolicy: "Fail", sideEffects: "None", timeoutSeconds: 5, admissionReviewVersions: ["v1"] },
  };
  return { metadata: { name: NAME }, webhooks: [webhook] } as KubeObject;
}

/** "made", or the API's error. */
async function create({ client }: Cluster, name: string, annotations: Record<string, string>): Promise<string> {
  const object = { metadata: { namespace: NAMESPACE, name, labels: { hook: "asked" }, annotations } };
  return client.create(CONFIG_MAPS, object).then(
    () => "made",
    (thrown: Error) => thrown.message,
  );
}
