/** The command line of clustermesh-apiserver. Throws `USAGE` with what to write. */
import { hostname } from "node:os";
import { parseArgs } from "node:util";
import { MeshError } from "@isthmus/model";
import { splitHostPort } from "@isthmus/observe";

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

export function parseArguments(argv: readonly string[]): Arguments {
  const values = read(argv);
  const tlsDir = values["tls-dir"];
  if (tlsDir === undefined) throw usage("--tls-dir is missing");
  const given = {
    kubeconfig: values.kubeconfig,
    namespace: values.namespace ?? "mesh-system",
    instance: values.instance ?? hostname(),
    listen: values.listen ?? "0.0.0.0:7443",
    admin: values.admin ?? "0.0.0.0:7444",
    health: values.health ?? "127.0.0.1:9443",
    tlsDir,
  };
  for (const name of ["listen", "admin", "health"] as const) checkAddress(name, given[name]);
  return given;
}

function read(argv: readonly string[]) {
  try {
    const text = { type: "string" } as const;
    const options = {
      kubeconfig: text,
      namespace: text,
      instance: text,
      listen: text,
      admin: text,
      health: text,
      "tls-dir": text,
    };
    return parseArgs({ args: [...argv], options }).values;
  } catch (cause) {
    throw usage((cause as Error).message, cause);
  }
}

function checkAddress(name: string, text: string): void {
  try {
    splitHostPort(text);
  } catch (cause) {
    throw usage(`--${name} is "${text}", write it like "10.0.0.1:7443"`, cause);
  }
}

function usage(what: string, cause?: unknown): MeshError<{ code: "USAGE" }> {
  return new MeshError({ code: "USAGE" }, `Cannot start: ${what}`, { cause });
}
