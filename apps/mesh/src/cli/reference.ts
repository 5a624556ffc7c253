/** A pod or a Service on the command line: `NAMESPACE/NAME`, or `NAME` with `-n`. */
import { usageError } from "./exit.js";

/** Of the form that names have. */
export interface Reference {
  /** A label of DNS. */
  readonly namespace: string;
  /** A name of DNS, of at most 253 characters. */
  readonly name: string;
}

const LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const SUBDOMAIN = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** The pod of `--from`; `namespace`: of `-n`. Throws USAGE when it cannot be the name of one. */
export function parsePod(text: string, namespace: string | undefined): Reference {
  return parseReference(text, namespace, "from", "pod");
}

/** The Service of `--service`, likewise. */
export function parseService(text: string, namespace: string | undefined): Reference {
  return parseReference(text, namespace, "service", "Service");
}

/** A pod with the context of its cluster; undefined: that of the command. */
export interface ContextPod extends Reference {
  /** Name of a context of the kubeconfig. */
  readonly context: string | undefined;
}

/** `NAMESPACE/POD` or `CONTEXT/NAMESPACE/POD`, whose context may have slashes. `option`: for sentences. Throws USAGE. */
export function parseContextPod(text: string, option = "from"): ContextPod {
  const parts = text.split("/");
  if (parts.length < 2)
    throw usageError(`Cannot use "${text}" for --${option}: write NAMESPACE/POD or CONTEXT/NAMESPACE/POD`);
  const context = parts.length === 2 ? undefined : parts.slice(0, -2).join("/");
  if (context === "") throw usageError(`Cannot use "${text}" for --${option}: its context is empty`);
  return { context, ...parseReference(parts.slice(-2).join("/"), undefined, option, "pod") };
}

/** A Service, and one of its ports. */
export interface ServicePort extends Reference {
  /** Number or name; "": all. */
  readonly port: string;
}

const PORT_NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** `NAMESPACE/NAME` or `NAMESPACE/NAME:PORT`. Throws USAGE. */
export function parseServicePort(text: string): ServicePort {
  const problem = (what: string) => usageError(`Cannot explain "${text}": ${what}`);
  const colon = text.indexOf(":");
  const [service, port] = colon === -1 ? [text, ""] : [text.slice(0, colon), text.slice(colon + 1)];
  const [namespace = "", name, ...more] = service.split("/");
  if (name === undefined || more.length > 0) throw problem("write NAMESPACE/SERVICE, or NAMESPACE/SERVICE:PORT");
  if (!LABEL.test(namespace)) throw problem(`"${namespace}" cannot be the name of a namespace`);
  if (!LABEL.test(name)) throw problem(`"${name}" cannot be the name of a Service`);
  if (colon !== -1 && !PORT_NAME.test(port)) throw problem(`"${port}" is neither the number nor the name of a port`);
  return { namespace, name, port };
}

function parseReference(text: string, namespace: string | undefined, option: string, kind: string): Reference {
  const parts = text.split("/");
  const [first = "", second] = parts;
  const found = second === undefined ? { namespace, name: first } : { namespace: first, name: second };
  const problem = (what: string) => usageError(`Cannot use "${text}" for --${option}${what}`);
  if (parts.length > 2) throw problem(`: write NAMESPACE/${kind.toUpperCase()}`);
  if (found.namespace === undefined)
    throw problem(` without its namespace: write NAMESPACE/${text}, or add -n NAMESPACE`);
  if (second !== undefined && namespace !== undefined && namespace !== first)
    throw usageError(`Cannot use --${option} "${text}" with --namespace "${namespace}": they name two namespaces`);
  if (!LABEL.test(found.namespace))
    throw usageError(`Cannot use "${found.namespace}" as a namespace in --${option}: it is no name`);
  if (!SUBDOMAIN.test(found.name))
    throw usageError(`Cannot use "${found.name}" as a ${kind} in --${option}: it is no name`);
  return { namespace: found.namespace, name: found.name };
}
