/** The command line of clustermesh-apiserver. Throws `USAGE` with what to write. */
import { hostname } from "node:os";
import { checkAddressOption, readOptions, usageError } from "@isthmus/observe";

export interface Arguments {
  readonly kubeconfig: string | undefined;
  readonly namespace: string;
  readonly instance: string;
  readonly listen: string;
  readonly admin: string;
  readonly health: string;
  readonly tlsDir: string;
}

export const USAGE = `Usage: clustermesh-apiserver --tls-dir DIR [options]

  --kubeconfig FILE   how to reach the Kubernetes API (the pod's ServiceAccount when absent)
  --namespace NAME    where mesh-config is (mesh-system)
  --instance NAME     name of this replica (host name)
  --listen IP:PORT    gRPC for agents, mutual TLS (0.0.0.0:7443)
  --admin IP:PORT     gRPC for the CLI, TLS and bearer token (0.0.0.0:7444)
  --health IP:PORT    /livez /readyz /metrics (127.0.0.1:9443)
  --tls-dir DIR       ca.crt tls.crt tls.key
`;

const NAMES = ["kubeconfig", "namespace", "instance", "listen", "admin", "health", "tls-dir"] as const;

export function parseArguments(argv: readonly string[]): Arguments {
  const values = readOptions(argv, NAMES);
  const tlsDir = values["tls-dir"];
  if (tlsDir === undefined) throw usageError("--tls-dir is missing");
  const given = {
    kubeconfig: values.kubeconfig,
    namespace: values.namespace ?? "mesh-system",
    instance: values.instance ?? hostname(),
    listen: values.listen ?? "0.0.0.0:7443",
    admin: values.admin ?? "0.0.0.0:7444",
    health: values.health ?? "127.0.0.1:9443",
    tlsDir,
  };
  for (const name of ["listen", "admin", "health"] as const) checkAddressOption(name, given[name]);
  return given;
}
