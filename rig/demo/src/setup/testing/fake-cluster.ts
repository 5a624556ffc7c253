/**
 * An in-memory cluster for tests of the set-up. It records its API calls in order; a Deployment is ready at once, a policy is enforced, and the
 * client's pod writes the given output.
 */
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import type { KubeClient, KubeObject, Resource, Transport } from "@isthmus/kube";
import type { ClusterAccess } from "../../drive/mesh-world.js";
import { CLIENT } from "../objects.js";

const ENFORCED = { type: "mesh.isthmus.io/Enforced", status: "True", message: "2 of 2 nodes" };

export interface FakeCluster {
  readonly access: ClusterAccess;
  readonly objects: Map<string, KubeObject>;
}

/** `note` is called with text such as "east: apply Service web"; `output`: lines of the client. */
export function fakeCluster(name: string, note: (call: string) => void, output: readonly string[]): FakeCluster {
  const objects = new Map<string, KubeObject>();
  const key = (resource: Resource, object: string) => `${resource.kind} ${object}`;
  const put = (verb: string) => async (resource: Resource, object: KubeObject) => {
    const { name: named = "" } = object.metadata;
    note(`${name}: ${verb} ${key(resource, named)}`);
    objects.set(key(resource, named), object);
    return object;
  };
  const client = {
    apply: put("apply"),
    create: put("create"),
    async mergePatch(resource: Resource, named: string) {
      note(`${name}: patch ${key(resource, named)}`);
      return objects.get(key(resource, named));
    },
    async get(resource: Resource, named: string) {
      const found = objects.get(key(resource, named));
      if (resource.kind === "CiliumNetworkPolicy") {
        note(`${name}: get ${key(resource, named)}`);
        return found === undefined ? undefined : { ...found, status: { conditions: [ENFORCED] } };
      }
      const more = named === CLIENT ? { spec: { nodeName: `${name}-2` } } : { spec: { clusterIP: "10.96.0.9" } };
      return found === undefined ? undefined : { ...found, ...more };
    },
    list: async () => [],
    async delete(resource: Resource, named: string) {
      note(`${name}: delete ${key(resource, named)}`);
      return objects.delete(key(resource, named));
    },
  };
  const transport = { stream: async () => Readable.from(output) as unknown as IncomingMessage };
  const access: ClusterAccess = {
    name,
    client: client as unknown as KubeClient,
    transport: transport as unknown as Transport,
    slices: {
      history: [],
      current: () => (objects.has("Deployment web") ? ["10.1.0.1", "10.1.0.2", "10.1.0.3"] : []),
      run: async () => undefined,
    },
  };
  return { access, objects };
}
