/** What every part uses: the log, the clock, metrics, this process's certificates, and the Kubernetes API. */
import { createKubeClient, createTransport, type KubeClient, loadKubeAccess, type Transport } from "@isthmus/kube";
import { type Clock, systemClock } from "@isthmus/model";
import { createMetrics, type Logger, type Metrics } from "@isthmus/observe";
import type { Parts } from "../process/parts.js";
import { type TlsFiles, watchTlsFiles } from "../serve/grpc/tls-files.js";
import type { Arguments } from "./arguments.js";

export interface Base {
  readonly args: Arguments;
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly tls: TlsFiles;
  readonly transport: Transport;
  readonly client: KubeClient;
}

/** Throws when the certificates or the access to Kubernetes cannot be read. */
export function openBase(args: Arguments, log: Logger, parts: Parts): Base {
  const metrics = createMetrics({ process: true });
  const tls = parts.keep(watchTlsFiles(args.tlsDir, log.child("tls")), (files) => files.close());
  const access = loadKubeAccess({ ...(args.kubeconfig && { kubeconfig: args.kubeconfig }) });
  const transport = parts.keep(createTransport(access), (each) => each.close());
  log.info("Starting", { instance: args.instance, kubernetes: transport.server });
  return { args, log, clock: systemClock, metrics, tls, transport, client: createKubeClient(transport) };
}
