/** What every part uses: the log, the clock, metrics, this process's certificates, and the Kubernetes API. */
import { createKubeClient, createTransport, type KubeClient, loadKubeAccess, type Transport } from "@isthmus/kube";
import { type Clock, systemClock } from "@isthmus/model";
import { createMetrics, type Logger, type Metrics } from "@isthmus/observe";
import type { Parts } from "../process/parts.js";
import { type TlsFiles, watchTlsFiles } from "../serve/grpc/tls-files.js";
import type { Arguments } from "./arguments.js";

export interface Base {
  /** The command line, checked. */
  readonly args: Arguments;
  /** Each part logs under a child of it. */
  readonly log: Logger;
  /** The system's. */
  readonly clock: Clock;
  /** The one registry of the process. */
  readonly metrics: Metrics;
  /** For both servers; read again when the files change, closed with the parts. */
  readonly tls: TlsFiles;
  /** To the Kubernetes API; closed with the parts. */
  readonly transport: Transport;
  /** Calls over `transport`. */
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
