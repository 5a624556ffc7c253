/** Opens contexts of the kubeconfig: clients for clusters, by context name. */
import { createKubeClient, createTransport, type KubeClient, KubeError, type Transport } from "@isthmus/kube";
import { usageError } from "../cli/exit.js";
import type { Kubeconfig } from "./kubeconfig.js";

export interface Context {
  /** As in the kubeconfig. */
  readonly name: string;
  /** Calls that cluster's Kubernetes API with the kubeconfig's credential. */
  readonly client: KubeClient;
  /** Closes its connections. */
  close(): void;
}

/** Throws USAGE when there is no such context. */
function openContext(config: Kubeconfig, name: string): Context {
  const file = config.contexts.get(name);
  if (file === undefined)
    throw usageError(`Cannot find context "${name}": the kubeconfig has ${[...config.contexts.keys()].join(", ")}`);
  const transport = createTransport(file.access(name));
  return { name, client: createKubeClient(transport), close: () => transport.close() };
}

/** The same context, whose calls are cancelled by `signal`. */
export function withSignal(context: Context, signal: AbortSignal): Context {
  return { ...context, client: createKubeClient(bounded(context.client.transport, signal)) };
}

function bounded(transport: Transport, signal: AbortSignal): Transport {
  const both = (of: AbortSignal | undefined) => (of === undefined ? signal : AbortSignal.any([signal, of]));
  return {
    ...transport,
    json: (request) => transport.json({ ...request, signal: both(request.signal) }),
    stream: (request) => transport.stream({ ...request, signal: both(request.signal) }),
  };
}

/** Opens all contexts, runs `work`, closes them. `signal` cancels every call. */
export function withContexts<T>(
  config: Kubeconfig,
  names: readonly string[],
  signal: AbortSignal,
  work: (contexts: readonly Context[]) => Promise<T>,
): Promise<T> {
  return withUsableContexts(config, names, signal, (contexts, unusable) => {
    for (const error of unusable.values()) throw error;
    return work(contexts);
  });
}

/** The same, but contexts that the kubeconfig itself makes unusable (its user was deleted) are passed to `work` with the reason. */
export async function withUsableContexts<T>(
  config: Kubeconfig,
  names: readonly string[],
  signal: AbortSignal,
  work: (contexts: readonly Context[], unusable: ReadonlyMap<string, KubeError>) => Promise<T>,
): Promise<T> {
  const contexts: Context[] = [];
  const unusable = new Map<string, KubeError>();
  try {
    for (const name of names) {
      try {
        contexts.push(openContext(config, name));
      } catch (thrown) {
        if (!(thrown instanceof KubeError)) throw thrown;
        unusable.set(name, thrown);
      }
    }
    return await work(
      contexts.map((context) => withSignal(context, signal)),
      unusable,
    );
  } finally {
    for (const context of contexts) context.close();
  }
}
