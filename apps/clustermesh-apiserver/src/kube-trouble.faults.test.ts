/** A broken connection to Kubernetes: what /readyz reports, and recovery without a restart. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type KubeClient, KubeError, statusError } from "@isthmus/kube";
import { type FaultyProxy, startProxy } from "@isthmus/kube/testing";
import { systemClock } from "@isthmus/model";
import { until } from "@isthmus/testing";
import { firstEpoch } from "./membership/first-epoch.js";
import { type RunningApiserver, startApiserver } from "./testing/run-apiserver.js";
import { connectAgent, type TestAgent } from "./testing/test-agent.js";
import { applyService, startTestCluster, type TestCluster } from "./testing/test-cluster.js";

let east: TestCluster;
let proxy: FaultyProxy;
let apiserver: RunningApiserver;
let agent: TestAgent;
let tokenFile: string;

before(async () => {
  east = await startTestCluster("east", 1);
  await east.apiserver.stop();
  proxy = await startProxy({ host: "127.0.0.1", port: east.kube.port });
  tokenFile = join(east.kube.folder, "projected-token");
  writeFileSync(tokenFile, "admin-token");
  const kubeconfig = east.kube.writeKubeconfig("projected", { port: proxy.port, tokenFile });
  apiserver = await startApiserver({ kubeconfig }, east.tls);
  east.apiserver = apiserver;
  agent = connectAgent({ port: apiserver.port, node: "n1", tls: await east.tls.node("n1") });
  await until("in sync", () => agent.source(0).inSync);
});

after(async () => {
  agent?.close();
  await east?.stop();
  await proxy?.close();
});

/** Waits for 503 with this text; after `mend` for 200 and a local change at the agent, whose stream never broke. */
let services = 0;
async function saysAndHeals(words: RegExp, mend: () => void): Promise<void> {
  let said = "";
  const ready = async () => {
    const { status, body } = await apiserver.get("/readyz");
    said = body;
    return status === 200;
  };
  await until("not ready, and why", async () => !(await ready()) && words.test(said), 40_000).catch((error: Error) =>
    assert.fail(`${error.message}; it says: ${said}`),
  );
  assert.equal((await apiserver.get("/livez")).status, 200, "a restart would not help");
  mend();
  await until("ready again", ready, 40_000);
  const name = `after-${++services}`;
  await applyService(east, name, `10.11.1.${services}`, {});
  await until("a local change", () => agent.value(0, `slices/shop/${name}/${name}-1`) !== undefined, 30_000);
  assert.equal(agent.ended, false);
}

test("a token that is no longer accepted is reported with its file, and the next token in the file is used", async () => {
  writeFileSync(tokenFile, "expired-token");
  const words = new RegExp(`fail {2}kubernetes: .*401.* does not accept the token in "${tokenFile}"`);
  await saysAndHeals(words, () => writeFileSync(tokenFile, "admin-token"));
});

test("a token file that is empty for a while causes no anonymous requests", async () => {
  writeFileSync(tokenFile, "");
  const words = /fail {2}kubernetes: .*Cannot use the token in ".*": the file is empty/;
  await saysAndHeals(words, () => writeFileSync(tokenFile, "admin-token"));
});

test("a Kubernetes API that stops answering on open connections is reported within half a minute", async () => {
  proxy.stall();
  await saysAndHeals(/fail {2}kubernetes: No answer .* no answer within 5000 ms/, () => proxy.flow());
});

test("a Kubernetes API that resets and refuses connections is reported", async () => {
  proxy.refuse(true);
  proxy.reset();
  await saysAndHeals(/fail {2}kubernetes: No answer .*(ECONNRESET|socket hang up|before secure)/, () =>
    proxy.refuse(false),
  );
});

test("at the start the process waits while its credential is refused, and then uses the saved epoch", async () => {
  const answers: unknown[] = [
    new KubeError({ code: "KUBE_UNREACHABLE", server: "x" }, "no answer"),
    statusError("GET", "/", 401, ""),
    statusError("GET", "/", 429, ""),
    { metadata: { annotations: { "mesh.isthmus.io/epoch": "kept" } } },
  ];
  const get = async () => {
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const clock = { ...systemClock, delay: async () => undefined };
  const client = { get } as unknown as KubeClient;
  assert.equal(await firstEpoch(client, "east", clock, new AbortController().signal), "kept");
  answers.push(statusError("GET", "/", 403, ""));
  assert.equal(await firstEpoch(client, "east", clock, new AbortController().signal), "");
});
