/** An open context: a cluster by the name that the operator gives it. */
import { createKubeClient, createTransport, type KubeClient, loadKubeAccess } from "@isthmus/kube";
import { usageError } from "../cli/exit.js";
import type { Kubeconfig } from "./kubeconfig.js";

export interface Context {
  readonly name: string;
  readonly client: KubeClient;
  close(): void;
}

/** Throws USAGE when there is no such context. */
export function openContext(config: Kubeconfig, name: string): Context {
  const kubeconfig = config.contexts.get(name);
  if (kubeconfig === undefined)
    throw usageError(`Cannot find context "${name}": there are ${[...config.contexts.keys()].join(", ") || "none"}`);
  const transport = createTransport(loadKubeAccess({ kubeconfig, context: name }));
  return { name, client: createKubeClient(transport), close: () => transport.close() };
}

/** Opens all, runs `work`, closes all. */
export async function withContexts<T>(
  config: Kubeconfig,
  names: readonly string[],
  work: (contexts: readonly Context[]) => Promise<T>,
): Promise<T> {
  const contexts: Context[] = [];
  try {
    for (const name of names) contexts.push(openContext(config, name));
    return await work(contexts);
  } finally {
    for (const context of contexts) context.close();
  }
}
