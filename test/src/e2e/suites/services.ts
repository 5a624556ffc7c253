/** Connections from a pod to Services of its cluster. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DEPLOYMENTS, PODS, SERVICES } from "@isthmus/kube";
import { answeredBy, connects, refused } from "../connects.js";
import { eventually } from "../eventually.js";
import { NAMESPACE, servers, service, UDP_PORT, udpServer, withHostPort } from "../objects.js";
import { MANAGER, type TestClusters } from "../world.js";

export function serviceTests(at: () => TestClusters): void {
  describe("Services of the cluster", () => {
    test("a pod reaches its Kubernetes API by ClusterIP", async () => {
      const { east } = at();
      const { outcomes } = await connects(east, `${east.plan.kubernetesServiceAddress}:443`, 3);
      assert.deepEqual(outcomes, { open: 3 });
    });

    test("TCP: every ready pod answers; after scaling to zero, connects are refused at once", async () => {
      const { east } = at();
      await east.client.apply(SERVICES, service("plain"), MANAGER);
      await east.client.apply(DEPLOYMENTS, servers("plain", "east", 2), MANAGER);
      const target = await east.frontend("plain");
      await eventually(
        "both pods to answer",
        () => connects(east, target),
        ({ answers }) => answers.length === 20 && new Set(answers).size === 2,
        40_000,
      );
      await east.scale("plain", 0);
      const { slowestMs } = await refused(east, target);
      assert.ok(slowestMs < 500, `the slowest refusal took ${slowestMs} ms`);
    });

    test("UDP: answers have the ClusterIP as source, on a connected and on an unconnected socket", async () => {
      const { east } = at();
      await east.client.apply(SERVICES, service("echo", { protocol: "UDP", port: 53, targetPort: UDP_PORT }), MANAGER);
      await east.client.apply(DEPLOYMENTS, udpServer("echo"), MANAGER);
      const target = await east.frontend("echo");
      const lines = await eventually(
        "the echo",
        () => east.probe("udp", target),
        (now) => now.every((line) => line.endsWith("hello")),
        40_000,
      );
      for (const [index, name] of ["connected", "unconnected"].entries())
        assert.match(lines[index] ?? "", new RegExp(`^${name} open ${target} echo-\\S+ hello$`));
    });

    test("a Service that is not served as specified has an Event and a note in service list", async () => {
      const { east, mesh } = at();
      await east.client.mergePatch(
        SERVICES,
        "plain",
        { spec: { sessionAffinity: "ClientIP" } },
        { namespace: NAMESPACE },
      );
      const note = 'sessionAffinity "ClientIP" is not supported yet: served as "None"';
      await eventually(
        "an Event about sessionAffinity",
        async () => (await east.kubectl("get", "events.events.k8s.io", "-o", "jsonpath={.items[*].note}")).out,
        (notes) => notes.includes(note),
      );
      const listed = await mesh("service", "list", "--context", "east");
      assert.match(listed.out, new RegExp(`^${NAMESPACE}/plain .*${note}`, "m"));
    });

    test("a pod with a hostPort has an Event that it is not served", async () => {
      const { east } = at();
      await east.client.apply(PODS, withHostPort("ported", east.plan.nodes[0]?.name ?? "", 18_080), MANAGER);
      await eventually(
        "an Event about hostPort",
        async () => (await east.kubectl("get", "events.events.k8s.io", "-o", "jsonpath={.items[*].note}")).out,
        (notes) => notes.includes('hostPort "18080/TCP" is not served yet'),
        40_000,
      );
    });

    test("the address of a deleted Service is unreachable at once; after the Service is created again, it answers", async () => {
      const { east } = at();
      await east.scale("plain", 1);
      await answeredBy(east, await east.frontend("plain"), "east");
      const before = await east.frontend("plain");
      await east.client.delete(SERVICES, "plain", { namespace: NAMESPACE });
      const { slowestMs } = await eventually(
        "the address to be unreachable",
        () => connects(east, before, 5),
        ({ outcomes }) => outcomes["unreachable"] === 5,
      );
      assert.ok(slowestMs < 500, `the slowest answer took ${slowestMs} ms`);
      await east.client.apply(SERVICES, service("plain"), MANAGER);
      await answeredBy(east, await east.frontend("plain"), "east");
    });
  });
}
