/** `mesh policy explain` against a real kube-apiserver and a fake clustermesh-apiserver, which is that of two contexts. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { type ExplainPolicyRequest, ExplainPolicyResponse, PolicyDirection } from "@isthmus/proto";
import { type Member, startTestCluster, writeContexts } from "../testing/member.js";
import { runForTest } from "../testing/memory-io.js";
import { bytes, egress, ingress } from "./testing/answers.js";

const folder = mkdtempSync(join(tmpdir(), "isthmus-explain-"));
let east: Member;
let env: { readonly KUBECONFIG: string };
let asked: ExplainPolicyRequest[] = [];

before(async () => {
  east = await startTestCluster("east", 1);
  env = { KUBECONFIG: writeContexts([east, { ...east, name: "west" }, { ...east, name: "elsewhere" }], folder) };
});
beforeEach(() => {
  asked = [];
  east.answers.explainPolicy = answer();
});
after(async () => {
  await east?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Knows the pods client, of east, and web, of west. */
const answer =
  (views = { egress: egress(), ingress: ingress() }) =>
  (request: ExplainPolicyRequest): ExplainPolicyResponse => {
    asked.push(request);
    const { answer } = request.pod === "client" ? views.egress : views.ingress;
    if (request.pod === "cart") return ExplainPolicyResponse.fromPartial({ cluster: "east", isService: true });
    if (request.pod !== "client" && request.pod !== "web")
      return ExplainPolicyResponse.fromPartial({ cluster: "east" });
    if (request.direction !== PolicyDirection.POLICY_DIRECTION_UNSPECIFIED) return answer;
    return ExplainPolicyResponse.fromPartial({ cluster: answer.cluster, pod: answer.pod });
  };

const explain = (...args: string[]) => runForTest(["policy", "explain", ...args], env);

test("each cluster is asked for its own end, with the address that the other end has in its own cluster", async () => {
  const { code, out, err } = await explain("--from", "shop/client", "--to", "west/shop/web:8080");
  assert.equal(code, 0, err);
  assert.match(out, /^allowed: shop\/client of east \(10\.1\.0\.5\) -> shop\/web of west \(10\.2\.0\.7\), 8080\/TCP\n/);
  const flows = asked.filter(({ direction }) => direction !== 0).sort((a, b) => (a.pod < b.pod ? -1 : 1));
  assert.deepEqual(flows, [
    {
      ...{ namespace: "shop", pod: "client", direction: PolicyDirection.POLICY_DIRECTION_EGRESS },
      ...{ other: bytes("10.2.0.7"), protocol: 6, port: 8080 },
    },
    {
      ...{ namespace: "shop", pod: "web", direction: PolicyDirection.POLICY_DIRECTION_INGRESS },
      ...{ other: bytes("10.1.0.5"), protocol: 6, port: 8080 },
    },
  ]);
});

test("what is denied, and maps that differ, end with 1", async () => {
  const denied = ingress({ policies: { allowed: false }, maps: { endpoint: 1, allowed: false } });
  east.answers.explainPolicy = answer({ egress: egress(), ingress: denied });
  const { code, out } = await explain("--from", "shop/client", "--to", "west/shop/web:1/udp", "-o", "json");
  const { verdict, protocol, ends } = JSON.parse(out) as {
    verdict: string;
    protocol: string;
    ends: { verdict: string }[];
  };
  assert.deepEqual(
    [code, verdict, protocol, ends.map((end) => end.verdict)],
    [1, "denied", "UDP", ["allowed", "denied"]],
  );
});

test("an address of a pod is its pod, whose cluster is asked if there is a context of its name", async () => {
  const found = await explain("--from", "east/shop/client", "--to", "10.2.0.7:8080");
  assert.equal(found.code, 0, found.err);
  assert.match(found.out, /\ningress of shop\/web, by cluster west: allowed/);
  const north = egress({ other: { cluster: "north", namespace: "shop", pod: "web" } });
  east.answers.explainPolicy = answer({ egress: north, ingress: ingress() });
  const unknown = await explain("--from", "east/shop/client", "--to", "10.2.0.7:8080");
  assert.equal(unknown.code, 1);
  assert.match(
    unknown.out,
    /^unknown \(the ingress of shop\/web is decided in cluster north: write CONTEXT\/shop\/web for --to\)/,
  );
  east.answers.explainPolicy = answer({ egress: egress({ other: {} }), ingress: ingress() });
  const world = await explain("--from", "east/shop/client", "--to", "203.0.113.7:80");
  assert.match(
    world.out,
    /\n203\.0\.113\.7 is no pod that east knows: no policy of the mesh is asked about its ingress\n$/,
  );
});

test("a pod always reaches itself", async () => {
  const { code, out } = await explain("--from", "shop/client", "--to", "10.1.0.5:80");
  assert.deepEqual([code, out.split(":")[0]], [0, "allowed (a pod always reaches itself)"]);
});

test("a Service, an unknown pod and a line without a flow are refused with what to do", async () => {
  const service = await explain("--from", "shop/client", "--to", "shop/cart:80");
  assert.equal(service.code, 1);
  assert.match(
    service.err,
    /it is a Service, and policies see pods, not Services; name one of its pods: mesh service explain shop\/cart/,
  );
  east.answers.explainPolicy = answer({ egress: egress({ other: { service: "shop/cart" } }), ingress: ingress() });
  const clusterIp = await explain("--from", "shop/client", "--to", "10.96.0.7:80");
  assert.equal(clusterIp.code, 1);
  assert.match(
    clusterIp.err,
    /10\.96\.0\.7: it is the ClusterIP of Service shop\/cart, and policies see pods, not Services; name one/,
  );
  const nobody = await explain("--from", "elsewhere/shop/nobody", "--to", "shop/web:80");
  assert.match(nobody.err, /east knows no such pod.*kubectl --context elsewhere -n shop get pod nobody -o wide/);
  const usage = await explain("--from", "shop/client");
  assert.deepEqual([usage.code, /Cannot explain without --from POD and --to TARGET/.test(usage.err)], [2, true]);
});
