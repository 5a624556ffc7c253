/** Global Services: which cluster answers, by the annotations of the local object and of the exporter's. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DEPLOYMENTS, EVENTS, type KubeObject, SERVICES } from "@isthmus/kube";
import { PROBER } from "../cluster.js";
import { answeredBy, type Connects, connects, refused } from "../connects.js";
import { eventually } from "../eventually.js";
import { NAMESPACE, servers, service } from "../objects.js";
import { MANAGER, type TestClusters } from "../world.js";

const GLOBAL = "service.cilium.io/global";
const SHARED = "service.cilium.io/shared";
const AFFINITY = "service.cilium.io/affinity";

interface Listed {
  readonly services: readonly {
    readonly service: string;
    readonly affinity: string;
    readonly status: string;
    readonly notes: readonly string[];
    readonly tiers: readonly {
      readonly active: boolean;
      readonly clusters: readonly { readonly cluster: string; readonly ready: number; readonly keptOut: string }[];
    }[];
  }[];
}

export function globalServiceTests(at: () => TestClusters): void {
  describe("Global Services", () => {
    test("without local backends the remote cluster answers, whose port has another number", async () => {
      const { east, west } = at();
      await east.client.apply(SERVICES, service("web"), MANAGER);
      await east.client.apply(DEPLOYMENTS, servers("web", "east", 0), MANAGER);
      await west.client.apply(SERVICES, service("web", { port: 8888 }), MANAGER);
      await west.client.apply(DEPLOYMENTS, servers("web", "west", 2), MANAGER);
      await west.scale("web", 2);
      await west.annotate("web", { [GLOBAL]: "true" });
      await refused(east, await east.frontend("web"));
      await east.annotate("web", { [GLOBAL]: "true" });
      const { answers } = await answeredBy(east, await east.frontend("web"), "west");
      assert.ok(answers.every((answer) => answer.startsWith("west/web-")));
    });

    test("affinity none uses both clusters, local and remote use one", async () => {
      const { east } = at();
      await east.scale("web", 2);
      const target = await east.frontend("web");
      await answeredBy(east, target, "east", "west");
      await east.annotate("web", { [AFFINITY]: "local" });
      await answeredBy(east, target, "east");
      await east.annotate("web", { [AFFINITY]: "remote" });
      await answeredBy(east, target, "west");
    });

    test("the affinity of the local object applies: east's affinity does not affect a client in west", async () => {
      const { west } = at();
      await answeredBy(west, await west.frontend("web"), "east", "west");
    });

    test("affinity remote falls back to local backends when there is no remote one", async () => {
      const { east, west } = at();
      await west.annotate("web", { [SHARED]: "false" });
      await answeredBy(east, await east.frontend("web"), "east");
      await west.annotate("web", { [SHARED]: null });
      await answeredBy(east, await east.frontend("web"), "west");
    });

    test("service list shows the tiers that clients use", async () => {
      const { mesh } = at();
      const { affinity, tiers } = await eventually(
        "every node holds it",
        () => listed(mesh),
        ({ status }) => status === "Done",
      );
      assert.equal(affinity, "remote");
      const shape = tiers
        .filter(({ clusters }) => clusters.length > 0)
        .map(({ active, clusters }) => [active, ...clusters.map(({ cluster, ready }) => `${cluster} ${ready}`)]);
      assert.deepEqual(shape[0], [true, "west 2"]);
      assert.deepEqual(shape.slice(1).flat().includes("east 2"), true, JSON.stringify(shape));
    });

    test("an unknown annotation value causes an Event on the Service, and the last good value stays in force", async () => {
      const { east, mesh } = at();
      const target = await east.frontend("web");
      await east.annotate("web", { [AFFINITY]: "sideways" });
      const event = await eventually(
        "an Event about the annotation",
        async () => (await east.client.list<EventObject>(EVENTS, { namespace: NAMESPACE })).find(isAboutAffinity),
        (found) => found !== undefined,
      );
      assert.match(event?.note ?? "", /"sideways".*last good value "remote" stays in force/);
      const { clusters, answers } = await connects(east, target);
      assert.deepEqual([clusters, answers.length], [["west"], 20]);
      const { affinity, notes } = await listed(mesh);
      assert.equal(affinity, "remote");
      assert.match(notes.join(), /sideways/);
    });

    test("a Service that is no longer global has only local backends", async () => {
      const { east } = at();
      await east.annotate("web", { [AFFINITY]: null, [GLOBAL]: "false" });
      await answeredBy(east, await east.frontend("web"), "east");
      await east.annotate("web", { [GLOBAL]: "true", [AFFINITY]: "local" });
    });

    test("service explain names the backends that a pod's connects reach, and what keeps it from the others", async () => {
      const { east, mesh } = at();
      const target = await east.frontend("web");
      const local = await explainedAsAnswered(mesh, await answeredBy(east, target, "east"));
      const remote = local.backends.filter(({ cluster }) => cluster === "west");
      assert.equal(remote.length, 2);
      for (const { exclusion, tier, state, maps } of remote)
        assert.deepEqual([exclusion?.cause, tier, state, maps?.rank], ["other-tier", 2, "ready", "up"]);
      await east.scale("web", 0);
      const fallen = await explainedAsAnswered(mesh, await answeredBy(east, target, "west"));
      const used = fallen.backends.filter((backend) => backend.used);
      assert.deepEqual(
        used.map(({ cluster, tier }) => [cluster, tier]),
        [
          ["west", 1],
          ["west", 1],
        ],
      );
      // The pods that end serve for two seconds more.
      for (const { cluster, tier, exclusion } of fallen.backends.filter((backend) => !backend.used)) {
        assert.deepEqual([cluster, tier], ["east", null]);
        assert.match(exclusion?.cause ?? "", /^(terminating|not-ready)$/);
      }
      await east.scale("web", 2);
      await answeredBy(east, target, "east");
    });
  });
}

interface Explained {
  readonly usable: boolean;
  readonly pod: { readonly applied: boolean; readonly mapsRead: boolean };
  readonly frontends: readonly {
    readonly maps: { readonly agrees: boolean } | null;
    readonly backends: readonly {
      readonly used: boolean;
      readonly cluster: string;
      readonly pod: string | null;
      readonly tier: number | null;
      readonly state: string;
      readonly exclusion: { readonly cause: string; readonly reason: string } | null;
      readonly maps: { readonly rank: string } | null;
    }[];
  }[];
}

/** What the prober's node is said to use, once that is what answered and its maps agree with the records. */
async function explainedAsAnswered(
  mesh: TestClusters["mesh"],
  { answers }: Connects,
): Promise<Explained["frontends"][number]> {
  const answered = [...new Set(answers)].sort().join();
  const { frontends } = await eventually(
    `service explain to name ${answered}`,
    async () => {
      const ran = await mesh(
        "service",
        "explain",
        `${NAMESPACE}/web`,
        "--from",
        `east/${NAMESPACE}/${PROBER}`,
        "-o",
        "json",
      );
      assert.notEqual(ran.out, "", ran.err);
      return JSON.parse(ran.out) as Explained;
    },
    ({ usable, pod, frontends: [first] }) => {
      const used = first?.backends.filter((backend) => backend.used) ?? [];
      const names = used.map(({ cluster, pod }) => `${cluster}/${pod?.split("/")[1]}`).sort();
      return usable && pod.applied && pod.mapsRead && first?.maps?.agrees === true && names.join() === answered;
    },
  );
  const [first] = frontends;
  assert.ok(first !== undefined);
  return first;
}

interface EventObject extends KubeObject {
  readonly note?: string;
  readonly regarding?: { readonly kind?: string; readonly name?: string };
}

function isAboutAffinity({ note, regarding }: EventObject): boolean {
  return regarding?.kind === "Service" && regarding.name === "web" && (note ?? "").includes(AFFINITY);
}

async function listed(mesh: TestClusters["mesh"]): Promise<Listed["services"][number]> {
  const ran = await mesh("service", "list", "--context", "east", "-o", "json");
  assert.equal(ran.code, 0, ran.err);
  const parsed = JSON.parse(ran.out) as Listed;
  const found = parsed.services.find((frontend) => frontend.service === `${NAMESPACE}/web`);
  assert.ok(found !== undefined, ran.out);
  return found;
}
