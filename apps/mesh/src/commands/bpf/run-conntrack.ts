import { hasStatus } from "@isthmus/kube";
import { type Address, FLOW_MAP, MeshError, parseAddress } from "@isthmus/model";
import type { Context } from "../../access/context.js";
import { readMap } from "../../bpf/read-map.js";
import type { Input } from "../../cli/command.js";
import { usageError } from "../../cli/exit.js";
import { parsePod, type Reference } from "../../cli/reference.js";
import type { Io } from "../../output/io.js";
import { kubectl } from "../../output/units.js";

/** Prints the flows of a node. Throws USAGE, NO_POD, NO_NODE, NO_ROWS, NO_MESH, ADMIN. */
export async function run(input: Input, io: Io): Promise<number> {
  const from = fromOf(input);
  return readMap(input, io, {
    map: FLOW_MAP,
    sources: async (context) => {
      if (from === undefined) return [];
      return "address" in from ? [from.address] : addressesOf(context, from);
    },
  });
}

function fromOf(input: Input): { readonly address: Address } | Reference | undefined {
  const [text, namespace] = [input.value("from"), input.value("namespace")];
  if (text === undefined) {
    if (namespace !== undefined)
      throw usageError("Cannot use --namespace without --from: it is the namespace of that pod");
    return undefined;
  }
  const address = addressOf(text);
  if (address === undefined) return parsePod(text, namespace);
  if (namespace !== undefined)
    throw usageError(
      `Cannot use --namespace with --from "${text}": it is the namespace of a pod, and this is an address`,
    );
  return { address };
}

function addressOf(text: string): Address | undefined {
  try {
    return parseAddress(text);
  } catch {
    return undefined;
  }
}

/** Throws NO_POD for a pod that there is not, or that has no address of its own. */
async function addressesOf(
  { name: context, client }: Context,
  { namespace, name }: Reference,
): Promise<readonly Address[]> {
  const fail = (why: string, cause?: unknown) =>
    new MeshError({ code: "NO_POD", namespace, pod: name }, `Cannot find pod "${namespace}/${name}": ${why}`, {
      cause,
    });
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}`;
  const pod = await client.transport.json({ method: "GET", path }).catch((thrown: unknown) => {
    if (hasStatus(thrown, 404))
      throw fail(`context "${context}" has no such pod; see: ${kubectl(context)} -n ${namespace} get pods`, thrown);
    if (hasStatus(thrown, 401, 403)) throw fail("no right to read it; name its address instead", thrown);
    throw thrown;
  });
  const { spec, status } = pod as {
    readonly spec?: { readonly hostNetwork?: unknown };
    readonly status?: { readonly podIPs?: readonly { readonly ip?: unknown }[] };
  };
  if (spec?.hostNetwork === true) throw fail("it is on the node's network, whose packets are no pod's");
  const addresses = (status?.podIPs ?? []).flatMap(({ ip }) => addressOf(String(ip)) ?? []);
  if (addresses.length === 0) throw fail("it has no address yet");
  return addresses.slice(0, 16);
}
