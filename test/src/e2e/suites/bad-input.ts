/** Records that their source may not publish are refused and counted; everything else continues. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ENDPOINT_SLICES, type KubeEndpointSlice, type KubeService, MESH_PEERS, SERVICES } from "@isthmus/kube";
import { claimKey, clusterPrefix } from "@isthmus/kvstore";
import { parseAddress, parseClusterId, parseClusterName } from "@isthmus/model";
import { Family, Slice } from "@isthmus/proto";
import { answeredBy, connects } from "../connects.js";
import { eventually } from "../eventually.js";
import { NAMESPACE, service } from "../objects.js";
import { withMember, withOwner } from "../store-access.js";
import { MANAGER, type TestClusters } from "../world.js";

interface Status {
  readonly ok: boolean;
  readonly hops: readonly {
    readonly from: string;
    readonly to: string;
    readonly hop: string;
    readonly refused?: readonly { readonly reason: string; readonly count: number; readonly example: string }[];
  }[];
}

interface Listed {
  readonly services: readonly {
    readonly service: string;
    readonly tiers: readonly { readonly clusters: readonly { readonly cluster: string; readonly ready: number }[] }[];
  }[];
}

export function badInputTests(at: () => TestClusters): void {
  describe("Bad input", () => {
    test("a backend outside the pod ranges is not exported, the other one is, and the Service has a condition", async () => {
      const { east, west, mesh } = at();
      await west.client.apply(SERVICES, service("stray", { selects: false, annotations: GLOBAL }), MANAGER);
      await west.client.apply(ENDPOINT_SLICES, straySlice("192.0.2.1", ownAddress(west.plan.podCidr)), MANAGER);
      await east.client.apply(SERVICES, service("stray", { selects: false, annotations: GLOBAL }), MANAGER);
      await eventually(
        "one backend of west in east",
        () => backendsOf(mesh, "east", "stray", "west"),
        (count) => count === 1,
      );
      const said = await eventually(
        "a condition",
        () => conditions(west, "stray"),
        ({ length }) => length === 1,
      );
      assert.match(said.join(), /BackendsExported=False.*outside this cluster's pod ranges/);
      await refusals(mesh, 0);
    });

    test("a slice outside the ranges of the MeshPeer is refused and counted; other Services continue", async () => {
      const { east, west, mesh } = at();
      const narrow = west.plan.podCidr.replace(/\/16$/, "/17");
      await east.client.mergePatch(MESH_PEERS, "west", { spec: { podCIDRs: [narrow] } });
      const [refusal] = await refusals(mesh, 1);
      assert.match(refusal?.example ?? "", /slices\/e2e\/stray\/stray-1.*\.250\.250 is outside its pod CIDRs/);
      await answeredBy(east, await east.frontend("web"), "west");
      await east.client.mergePatch(MESH_PEERS, "west", { spec: { podCIDRs: [west.plan.podCidr] } });
      await refusals(mesh, 0);
    });

    test("a record that another writer puts under a cluster's prefix is never used, and the cluster's publisher deletes it", async () => {
      const { lab, east, west } = at();
      const key = `${clusterPrefix(parseClusterName("west"))}slices/e2e/web/forged`;
      const address = Buffer.from(parseAddress(ownAddress(east.plan.podCidr)));
      const ports = [{ name: "main", protocol: 6, port: 8080 }];
      const value = Slice.encode(
        Slice.fromPartial({ family: Family.FAMILY_IPV4, ports, backends: [{ address, conditions: 3 }] }),
      ).finish();
      await withOwner(lab, async (store) => {
        await store.txn([], [{ type: "put", key, value }]);
        const { clusters, answers } = await connects(east, await east.frontend("web"));
        assert.deepEqual([clusters, answers.length], [["west"], 20]);
        await eventually(
          "the forged record to go",
          async () => (await store.get(key)).entry === undefined,
          (gone) => gone,
        );
      });
      await answeredBy(west, await west.frontend("web"), "west");
    });

    test("the credential of a cluster permits writes under its own prefix only", async () => {
      const { east } = at();
      await withMember(east, async (store) => {
        const put = (key: string) => store.txn([], [{ type: "put", key, value: Buffer.from("x") }]);
        const [own, foreign] = [clusterPrefix(parseClusterName("east")), clusterPrefix(parseClusterName("west"))];
        assert.ok((await store.get(`${foreign}head`)).entry !== undefined);
        await put(`${own}e2e`);
        await store.txn([], [{ type: "delete", key: `${own}e2e` }]);
        for (const key of [`${foreign}head`, claimKey(parseClusterId(2)), claimKey(parseClusterId(7)), "/other"])
          await assert.rejects(put(key), { code: "STORE_DENIED" }, key);
      });
    });
  });
}

const GLOBAL = { "service.cilium.io/global": "true" };

function straySlice(...addresses: readonly string[]): KubeEndpointSlice {
  return {
    metadata: { name: "stray-1", namespace: NAMESPACE, labels: { "kubernetes.io/service-name": "stray" } },
    addressType: "IPv4",
    ports: [{ name: "main", protocol: "TCP", port: 8080 }],
    endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
  };
}

/** `type=status message` of each condition mesh.isthmus.io/* on a Service. */
async function conditions({ client }: TestClusters["west"], name: string): Promise<readonly string[]> {
  const { status } = (await client.get<KubeService>(SERVICES, name, { namespace: NAMESPACE })) ?? {};
  return (status?.conditions ?? []).map(({ type, status, message }) => `${type}=${status} ${message}`);
}

/** Number of ready backends of `cluster` for the Service, as `service list` of another cluster reports it. */
async function backendsOf(mesh: TestClusters["mesh"], asked: string, name: string, cluster: string): Promise<number> {
  const ran = await mesh("service", "list", "--context", asked, "-n", NAMESPACE, "-o", "json");
  const { services } = JSON.parse(ran.out) as Listed;
  const clusters = services.filter(({ service }) => service === `${NAMESPACE}/${name}`).flatMap(({ tiers }) => tiers);
  return clusters.flatMap((tier) => tier.clusters).find((each) => each.cluster === cluster)?.ready ?? 0;
}

/** An address of the cluster's pods that no pod has. */
function ownAddress(podCidr: string): string {
  return podCidr.replace(/\.0\.0\/16$/, ".250.250");
}

/** Waits until east reports that many refused records of west. */
async function refusals(mesh: TestClusters["mesh"], count: number) {
  const look = async () => {
    const ran = await mesh("status", "-o", "json");
    const { hops } = JSON.parse(ran.out) as Status;
    return hops.find(({ from, to, hop }) => from === "west" && to === "east" && hop === "read")?.refused ?? [];
  };
  const total = (seen: Awaited<ReturnType<typeof look>>) => seen.reduce((sum, each) => sum + each.count, 0);
  return eventually(`${count} refused records of west in east`, look, (seen) => total(seen) === count, 40_000);
}
