/** Connects to a Service whose backend refuses go to another one, unless the Service's annotation says otherwise. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ENDPOINT_SLICES, type KubeEndpointSlice, SERVICES } from "@isthmus/kube";
import { connects } from "../connects.js";
import { eventually } from "../eventually.js";
import { HTTP_PORT, NAMESPACE, service } from "../objects.js";
import type { PacketPods } from "../packet-pods.js";
import { MANAGER } from "../world.js";

const NAME = "half";
const RESCUE_AFTER = "mesh.isthmus.io/rescue-after";
/** Nothing listens there. */
const CLOSED = 9;

export function packetRescueTests(at: () => PacketPods): void {
  describe("A Service with a backend that refuses", () => {
    test("loses no connect, and half of them while rescue-after is off", async () => {
      const { solo, near, far } = at();
      await solo.client.apply(SERVICES, service(NAME, { selects: false }), MANAGER);
      await solo.client.apply(ENDPOINT_SLICES, slice("dead", near.address, CLOSED), MANAGER);
      await solo.client.apply(ENDPOINT_SLICES, slice("alive", far.address, HTTP_PORT), MANAGER);
      const target = await solo.frontend(NAME);
      const dial = (want: (refused: number) => boolean, what: string) =>
        eventually(
          what,
          async () => (await connects(solo, target)).outcomes,
          ({ open = 0, refused = 0 }) => open + refused === 20 && want(refused),
        );
      await dial((refused) => refused === 0, "all connects to be answered");
      assert.deepEqual((await connects(solo, target)).outcomes, { open: 20 });
      await solo.annotate(NAME, { [RESCUE_AFTER]: "off" });
      await dial((refused) => refused > 0, "connects to be refused");
      await solo.annotate(NAME, { [RESCUE_AFTER]: null });
      await dial((refused) => refused === 0, "all connects to be answered again");
    });
  });
}

function slice(name: string, address: string, port: number): KubeEndpointSlice {
  return {
    metadata: { name: `${NAME}-${name}`, namespace: NAMESPACE, labels: { "kubernetes.io/service-name": NAME } },
    addressType: "IPv4",
    ports: [{ name: "main", protocol: "TCP", port }],
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
  };
}
