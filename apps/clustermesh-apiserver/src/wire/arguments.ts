/** Parses the command line of clustermesh-apiserver. Throws `USAGE` with a sentence that says what to write instead. */
import { hostname } from "node:os";
import { checkAddressOption, readOptions, usageError } from "@isthmus/observe";
import { type Budget, DEFAULT_BUDGET } from "../remote/index.js";

export interface Arguments {
  /** Path of the file; undefined: the pod's ServiceAccount. */
  readonly kubeconfig: string | undefined;
  /** Where mesh-config, the Lease, the saved values and the key for the store are. */
  readonly namespace: string;
  /** Name of this replica: the host name unless given. */
  readonly instance: string;
  /** IP:port of the stream to agents. */
  readonly listen: string;
  /** IP:port of the admin API. */
  readonly admin: string;
  /** IP:port of /livez, /readyz and /metrics. */
  readonly health: string;
  /** Address that serves metrics to scrapers off the node; undefined: not served. */
  readonly metricsAddress: string | undefined;
  /** Path of the folder with ca.crt, tls.crt and tls.key. */
  readonly tlsDir: string;
  /** Records and bytes that are accepted from each peer. */
  readonly budget: Budget;
  /** How long the process keeps serving after the first termination signal, ms. */
  readonly shutdownDelayMs: number;
}

export const USAGE = `Usage: clustermesh-apiserver --tls-dir DIR [options]

  --kubeconfig FILE   how to reach the Kubernetes API (the pod's ServiceAccount when absent)
  --namespace NAME    where mesh-config is (mesh-system)
  --instance NAME     name of this replica (host name)
  --listen IP:PORT    gRPC for agents, mutual TLS (0.0.0.0:7443)
  --admin IP:PORT     gRPC for the CLI, TLS and bearer token (0.0.0.0:7444)
  --health IP:PORT    /livez /readyz /metrics (127.0.0.1:9443)
  --metrics-address IP:PORT  /metrics for scrapers off the node, without authentication (not served)
  --tls-dir DIR       ca.crt tls.crt tls.key
  --peer-max-records N
                      most records accepted from one peer (${DEFAULT_BUDGET.records})
  --peer-max-bytes N  most bytes of keys and values accepted from one peer (${DEFAULT_BUDGET.bytes})
  --shutdown-delay-seconds N
                      keep serving for N seconds after SIGTERM, while a replacement starts (0)
`;

const NAMES = [
  "kubeconfig",
  "namespace",
  "instance",
  "listen",
  "admin",
  "health",
  "metrics-address",
  "tls-dir",
] as const;
const COUNTS = ["peer-max-records", "peer-max-bytes", "shutdown-delay-seconds"] as const;
/** Longer than any grace period that makes sense. */
const MOST_DELAY_S = 3600;

/** Throws `USAGE` for an option that is unknown, incomplete or invalid. */
export function parseArguments(argv: readonly string[]): Arguments {
  const values = readOptions(argv, [...NAMES, ...COUNTS]);
  const tlsDir = values["tls-dir"];
  if (tlsDir === undefined) throw usageError("--tls-dir is missing");
  const given = {
    kubeconfig: values.kubeconfig,
    namespace: values.namespace ?? "mesh-system",
    instance: values.instance ?? hostname(),
    listen: values.listen ?? "0.0.0.0:7443",
    admin: values.admin ?? "0.0.0.0:7444",
    health: values.health ?? "127.0.0.1:9443",
    metricsAddress: values["metrics-address"],
    tlsDir,
    budget: {
      records: count("peer-max-records", values["peer-max-records"], DEFAULT_BUDGET.records),
      bytes: count("peer-max-bytes", values["peer-max-bytes"], DEFAULT_BUDGET.bytes),
    },
    shutdownDelayMs: 1000 * delaySeconds(values["shutdown-delay-seconds"] ?? "0"),
  };
  for (const name of ["listen", "admin", "health"] as const) checkAddressOption(name, given[name]);
  if (given.metricsAddress !== undefined) checkAddressOption("metrics-address", given.metricsAddress);
  return given;
}

function delaySeconds(text: string): number {
  if (/^\d+$/.test(text) && Number(text) <= MOST_DELAY_S) return Number(text);
  throw usageError(`--shutdown-delay-seconds is "${text}", write whole seconds from 0 to ${MOST_DELAY_S}, like "10"`);
}

function count(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (/^[1-9]\d*$/.test(text) && Number.isSafeInteger(value)) return value;
  throw usageError(`--${name} is "${text}", write a whole number above 0, like "${otherwise}"`);
}
